/**
 * What end-to-end tests share: the program run to its end, temporary directories, and the real cluster that chaos runs use too
 * (src/chaos/dev-cluster.ts). Uses the compiled program; test/setup/build.ts builds it first.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DevCluster, MAIN, startCluster } from '../../src/chaos/dev-cluster.ts'

export { destroyClusters, MAIN, startCluster } from '../../src/chaos/dev-cluster.ts'
export { eventually } from '../../src/chaos/eventually.ts'
export { freePort } from '../../src/chaos/free-port.ts'
export type Cluster = DevCluster

export interface FinishedCommand {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the program to its end. */
export function quorate(args: readonly string[], timeoutMs = 40_000): Promise<FinishedCommand> {
  return finished(spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }), timeoutMs)
}

/** Collects what a process prints until it ends; it is killed after `timeoutMs`. */
export function finished(child: ChildProcess, timeoutMs: number): Promise<FinishedCommand> {
  return new Promise((resolve, reject) => {
    let stdout = ''
    let stderr = ''
    child.stdout?.on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr?.on('data', (chunk) => {
      stderr += chunk
    })
    const deadline = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(deadline)
      resolve({ code, signal, stdout, stderr })
    })
  })
}

/** A directory that is gone after `work`, whatever happens in it. */
export async function withDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-e2e-'))
  try {
    return await work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }
}

/** Runs `work` on a fresh cluster; afterwards no process and no file of it is left. */
export function withCluster<T>(flags: readonly string[], work: (cluster: Cluster) => Promise<T>): Promise<T> {
  return withDirectory(async (directory) => {
    const cluster = await startCluster({ data: join(directory, 'data'), flags })
    try {
      return await work(cluster)
    } finally {
      await cluster.destroy()
    }
  })
}
