/** A real terminal for tests: a program in a tmux of its own, typed at, pasted into, and looked at. Gone after close(). */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from './cluster.ts'

export const HAS_TMUX: boolean = spawnSync('tmux', ['-V']).status === 0

const SEES_WITHIN_MS = 15_000
const COLUMNS = 120
const ROWS = 50

export class Terminal {
  readonly #directory = mkdtempSync(join(tmpdir(), 'quorate-tmux-'))
  readonly #environment: NodeJS.ProcessEnv

  /** When the program has ended, its exit code stands on the screen: `exit code N`. */
  constructor(command: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const { TMUX: _, NO_COLOR: __, ...inherited } = process.env
    // Its socket lies in that directory: no other tmux is met.
    this.#environment = { ...inherited, ...environment, TMUX_TMPDIR: this.#directory }
    const program = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
    const script = `${program}; echo "exit code $?"; exec sleep 600`
    this.#tmux('new-session', '-d', '-x', String(COLUMNS), '-y', String(ROWS), script)
  }

  type(text: string): void {
    this.#tmux('send-keys', '-l', '--', text)
  }

  /** tmux's names: Enter, Tab, Up, C-c ... */
  press(...keys: readonly string[]): void {
    this.#tmux('send-keys', ...keys)
  }

  enter(line: string): void {
    this.type(line)
    this.press('Enter')
  }

  /** As a terminal pastes: bracketed, where the program has asked for that. */
  paste(text: string): void {
    this.#tmux('set-buffer', '--', text)
    this.#tmux('paste-buffer', '-p')
  }

  /** The lines that are not empty; `withEscapes`: with their colours. */
  screen(withEscapes = false): string {
    const shown = this.#tmux('capture-pane', '-p', ...(withEscapes ? ['-e'] : []))
    return shown
      .split('\n')
      .map((line) => line.trimEnd())
      .filter((line) => line !== '')
      .join('\n')
  }

  /** Until the screen ends with the text, or fits the pattern. */
  sees(wanted: string | RegExp): Promise<void> {
    return this.#until(String(wanted), false, (screen) =>
      typeof wanted === 'string' ? screen.endsWith(wanted) : wanted.test(screen),
    )
  }

  /** Until the text stands anywhere on the screen, with the escape sequences of its colours. */
  showsWithEscapes(text: string): Promise<void> {
    return this.#until(JSON.stringify(text), true, (screen) => screen.includes(text))
  }

  async #until(what: string, withEscapes: boolean, isThere: (screen: string) => boolean): Promise<void> {
    let screen = ''
    const look = (): boolean => {
      screen = this.screen(withEscapes)
      return isThere(screen)
    }
    await eventually(what, SEES_WITHIN_MS, look).catch((error: Error) => {
      throw new Error(`${error.message}; on the screen:\n${screen}`)
    })
  }

  close(): void {
    spawnSync('tmux', ['kill-server'], { env: this.#environment })
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #tmux(...args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync('tmux', ['-f', '/dev/null', ...args], {
      env: this.#environment,
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`tmux ${args[0]}: ${stderr}`)
    return stdout
  }
}
