/**
 * The main thread's side of lmdb-worker.ts: starts the thread with the first request, matches answers with requests, and lets the
 * process end when nothing is under way. At most a commit, an image, an install and a close for each open base file wait
 * here, so the queue is bounded by the number of replicas.
 */
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { DiskDone } from '../ports/disk.ts'
import type { LmdbAnswer, LmdbRequest } from './lmdb-worker.ts'

/** A worker runs compiled code; run from the TypeScript sources (tests), it is the one in dist/. */
const WORKER_FILE = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/platform/lmdb-worker.js' : './lmdb-worker.js', import.meta.url),
)

export class LmdbWriter {
  #worker: Worker | null = null
  #lastRequest = 0
  readonly #waiting = new Map<number, DiskDone>()

  request(body: LmdbRequest, done: DiskDone): void {
    if (body.kind === 'close' && this.#worker === null) {
      // A thread that was never there has nothing open; starting it would be most of the cost of stopping a node.
      setImmediate(() => done(null))
      return
    }
    const worker = this.#worker ?? this.#start()
    const request = ++this.#lastRequest
    if (this.#waiting.size === 0) worker.ref()
    this.#waiting.set(request, done)
    worker.postMessage({ request, body })
  }

  #start(): Worker {
    // Not the process's own flags: some are refused by a worker.
    const worker = new Worker(WORKER_FILE, { execArgv: [] })
    this.#worker = worker
    worker.on('message', (answer: LmdbAnswer) => {
      const done = this.#waiting.get(answer.request)
      this.#waiting.delete(answer.request)
      if (this.#waiting.size === 0) worker.unref()
      done?.(answer.error)
    })
    worker.on('error', (error) => this.#failed(worker, error.message))
    worker.on('exit', (code) => this.#failed(worker, `the writing thread ended with code ${code}`))
    return worker
  }

  /** What was under way may or may not have been written: the callers decide (a node ends). */
  #failed(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return
    this.#worker = null
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const done of waiting) done({ code: 'io', message: `base file: ${reason}` })
  }

  /** Ends the thread. Base files must be closed. */
  async stop(): Promise<void> {
    const worker = this.#worker
    this.#worker = null
    if (worker !== null) await worker.terminate()
  }
}
