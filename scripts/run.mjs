// Shared by the scripts: where the repository is, and how to run a tool of node_modules without a shell or npx.
import { spawnSync } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

/** The exit code; output goes where ours goes, or comes back as text under `capture`. */
export function run(command, args, { capture = false, env = {} } = {}) {
  const result = spawnSync(command, args, {
    cwd: ROOT,
    stdio: capture ? ['ignore', 'pipe', 'inherit'] : ['ignore', 'inherit', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    env: { ...process.env, ...env, PATH: `${join(ROOT, 'node_modules', '.bin')}${delimiter}${process.env.PATH}` },
  })
  if (result.error !== undefined) {
    process.stderr.write(`cannot run ${command}: ${result.error.message}\n`)
    return { code: 127, stdout: '' }
  }
  return { code: result.status ?? 1, stdout: result.stdout ?? '' }
}
