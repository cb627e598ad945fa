/** How people write a bandwidth: bytes per second, with K, M or G for powers of 1024. */
import { InvalidArgumentError } from 'commander'

const FACTORS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }
const MAX_BYTES = 2 ** 40

export const BANDWIDTH_FLAG = '--migration-bandwidth <bytes>'
export const BANDWIDTH_HELP = 'what a move of slots may bring in, in bytes per second: 20M, say (default: no limit)'

export function bandwidth(text: string): number {
  const [, digits, unit] = /^(\d{1,15})([kmg]?)b?$/.exec(text.toLowerCase()) ?? []
  const bytes = Number(digits) * FACTORS[unit ?? '']
  if (digits === undefined || bytes < 1024 || bytes > MAX_BYTES) {
    throw new InvalidArgumentError('bytes per second are wanted, from 1K to 1024G: 20M, say.')
  }
  return bytes
}
