/** Waiting for what can be observed, never for time alone. */
import { setTimeout as delay } from 'node:timers/promises'

const ASK_EVERY_MS = 20

/** Asks until the answer is neither null nor false; fails, naming `what`, after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  ask: () => T | null | false | Promise<T | null | false>,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (answer !== null && answer !== false) return answer
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await delay(ASK_EVERY_MS)
  }
}
