// The real programs that tests and benchmarks run against. Missing ones are installed where that is possible (Debian,
// root); else the caller is told, and the tests that need them are skipped, which the test run reports.

import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run } from './run.mjs'

/** Package, and a program of it, or a file. */
const PACKAGES = [
  ['redis-server', 'redis-server'],
  ['redis-tools', 'redis-cli'],
  ['redis-tools', 'redis-benchmark'],
  ['etcd-server', 'etcd'],
  ['etcd-client', 'etcdctl'],
  ['nghttp2-client', 'h2load'],
  ['tmux', 'tmux'],
  ['python3-redis', '/usr/lib/python3/dist-packages/redis/__init__.py'],
]

function isInstalled(program) {
  if (program.startsWith('/')) return existsSync(program)
  return (process.env.PATH ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function missingPackages() {
  return [...new Set(PACKAGES.filter(([, program]) => !isInstalled(program)).map(([name]) => name))]
}

/** What is still missing afterwards. */
export function installDebianPackages() {
  const missing = missingPackages()
  if (missing.length === 0) return []
  if (process.getuid?.() !== 0 || !isInstalled('apt-get')) return missing
  process.stdout.write(`installing ${missing.join(' ')}\n`)
  // RUNLEVEL=1: Debian's scripts then start no service; two runs at once wait for each other's lock.
  const env = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const patience = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3', '-qq']
  run('apt-get', [...patience, 'update'], { env, capture: true })
  run('apt-get', [...patience, 'install', '-y', '--no-install-recommends', ...missing], { env, capture: true })
  return missingPackages()
}
