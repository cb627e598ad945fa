/**
 * The lines typed at the prompt, kept over sessions: ~/.quorate_history, or $QUORATE_HISTORY (empty: kept nowhere). One command a
 * line, the oldest first, at most a thousand, readable by its owner alone; commands with passwords are not kept. A history that
 * cannot be read or written is no reason to fail.
 */
import { appendFileSync, chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { quoted } from './reply-text.ts'

export const MAX_HISTORY_LINES = 1_000
/** Longer ones are not kept: nobody looks for a megabyte with the up arrow. */
const MAX_LINE_CHARACTERS = 4_096

export class PromptHistory {
  readonly #path: string | null

  constructor(environment: NodeJS.ProcessEnv) {
    const given = environment.QUORATE_HISTORY
    this.#path = given === '' ? null : (given ?? join(homedir(), '.quorate_history'))
  }

  /** The newest first, as readline wants them. Cuts the file to its limit. */
  load(): string[] {
    if (this.#path === null) return []
    try {
      const lines = readFileSync(this.#path, 'utf8').split('\n').filter(Boolean)
      chmodSync(this.#path, 0o600)
      const kept = lines.slice(-MAX_HISTORY_LINES)
      // Not at every start, since another session may be appending just now.
      if (lines.length > 2 * MAX_HISTORY_LINES) this.#replace(this.#path, kept)
      return kept.reverse()
    } catch {
      return []
    }
  }

  add(line: string): void {
    if (this.#path === null || line.length > MAX_LINE_CHARACTERS || /[\r\n]/.test(line)) return
    try {
      appendFileSync(this.#path, `${line}\n`, { mode: 0o600 })
    } catch {
      // A read-only home: the prompt works without.
    }
  }

  #replace(path: string, lines: readonly string[]): void {
    const draft = `${path}.${process.pid}`
    try {
      writeFileSync(draft, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 })
      renameSync(draft, path)
    } catch {
      rmSync(draft, { force: true })
    }
  }
}

/** May it hold a password? */
export function holdsSecret(words: readonly Buffer[]): boolean {
  const texts = words.map((word) => word.toString('latin1').toUpperCase())
  const [name, second] = texts
  if (name === 'AUTH') return true
  if (name === 'HELLO' || name === 'MIGRATE') return texts.some((text) => text === 'AUTH' || text === 'AUTH2')
  if (name === 'ACL') return second === 'SETUSER'
  return name === 'CONFIG' && second === 'SET' && texts.some((text) => /PASS|AUTH/.test(text))
}

/** The same for a line that is no command, because of its quotes. */
export function mayHoldSecret(line: string): boolean {
  return /^\s*["']?(auth|hello|migrate|acl|config)\b/i.test(line)
}

/** A command on one line, whatever its values hold. */
export function commandLine(words: readonly Buffer[]): string {
  return words.map(wordText).join(' ')
}

function wordText(word: Buffer): string {
  const inQuotes = quoted(word)
  const plain = inQuotes.slice(1, -1)
  return /^[^\s"'\\]+$/.test(plain) ? plain : inQuotes
}
