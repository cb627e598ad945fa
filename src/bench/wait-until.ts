/** Asks again until something holds: for servers of which nothing else tells that they are ready. */
import { setTimeout as delay } from 'node:timers/promises'
import { setupError } from './bench-error.ts'
import type { Workshop } from './workshop.ts'

const EVERY_MS = 50

/** `ask` gives null for "not yet", and may throw for it. Ends early if a server has ended. */
export async function waitUntil<Value>(
  workshop: Workshop,
  what: string,
  timeoutMs: number,
  ask: () => Promise<Value | null>,
): Promise<Value> {
  const until = performance.now() + timeoutMs
  let lastError = ''
  while (performance.now() < until) {
    const value = await ask().catch((error: Error) => {
      lastError = `: ${error.message}`
      return null
    })
    if (value !== null) return value
    const fallen = workshop.fallenServer()
    if (fallen !== null) throw setupError(fallen, 'see its log above')
    await delay(EVERY_MS)
  }
  throw setupError(`not within ${timeoutMs / 1000} s: ${what}${lastError}`, 'is the machine overloaded?')
}
