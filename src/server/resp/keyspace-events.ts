/**
 * Classes of keyspace notifications, as notify-keyspace-events names them; the letters, and the order in which they are shown, are those of
 * Redis 7.0.15. `A` stands for all classes of events but `m` and `n`, and shown as `A` it hides `n`, as there.
 */

const LETTERS = ['g', '$', 'l', 's', 'h', 'z', 'x', 'e', 't', 'd', 'n', 'K', 'E', 'm'] as const
type Letter = (typeof LETTERS)[number]

function flag(letter: Letter): number {
  return 1 << LETTERS.indexOf(letter)
}

export const NOTIFY_KEYSPACE: number = flag('K')
export const NOTIFY_KEYEVENT: number = flag('E')
export const NOTIFY_GENERIC: number = flag('g')
export const NOTIFY_STRING: number = flag('$')
export const NOTIFY_EXPIRED: number = flag('x')
export const NOTIFY_KEY_MISS: number = flag('m')
export const NOTIFY_NEW: number = flag('n')
const ALL_LETTERS = LETTERS.slice(0, LETTERS.indexOf('n'))
export const NOTIFY_ALL: number = ALL_LETTERS.reduce((flags, letter) => flags | flag(letter), 0)

function isLetter(letter: string): letter is Letter {
  return (LETTERS as readonly string[]).includes(letter)
}

/** Null: a letter that stands for nothing. */
export function parseKeyspaceEvents(text: string): number | null {
  let flags = 0
  for (const letter of text) {
    if (letter === 'A') flags |= NOTIFY_ALL
    else if (isLetter(letter)) flags |= flag(letter)
    else return null
  }
  return flags
}

export function keyspaceEventsText(flags: number): string {
  const all = (flags & NOTIFY_ALL) === NOTIFY_ALL
  const hidden = all ? NOTIFY_ALL | NOTIFY_NEW : 0
  const letters = LETTERS.filter((letter) => (flags & ~hidden & flag(letter)) !== 0)
  return `${all ? 'A' : ''}${letters.join('')}`
}
