// Tests that start real processes or worker threads use the compiled tree: build it first (incremental).
import { spawnSync } from 'node:child_process'

export default function build(): void {
  const result = spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
  if (result.status !== 0) throw new Error('npm run build failed: see the compiler output above')
}
