/** Which programs of other people a run needs, and how to get what is missing. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setupError } from './bench-error.ts'
import type { PeerName } from './options.ts'

/** Program -> Debian package. */
const PACKAGES: Readonly<Record<string, string>> = {
  etcd: 'etcd-server',
  h2load: 'nghttp2-client',
  'redis-server': 'redis-server',
  'redis-benchmark': 'redis-tools',
}

const NEEDED_BY: Readonly<Record<PeerName, readonly string[]>> = {
  etcd: ['etcd', 'h2load'],
  redis: ['redis-server', 'redis-benchmark'],
  'redis-wait': ['redis-server'],
}

/** Throws BenchError with the line that installs what is missing. Quorate itself is driven by redis-benchmark. */
export function requirePrograms(peers: readonly PeerName[], path: string = process.env.PATH ?? ''): void {
  const needed = new Set(['redis-benchmark', ...peers.flatMap((peer) => NEEDED_BY[peer])])
  const missing = [...needed].filter((program) => !isInstalled(program, path))
  if (missing.length === 0) return
  const packages = missing.map((program) => PACKAGES[program]).sort()
  throw setupError(
    `not installed: ${missing.join(', ')}`,
    `apt-get install -y --no-install-recommends ${packages.join(' ')}`,
  )
}

function isInstalled(program: string, path: string): boolean {
  return path.split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
