/**
 * Between the terminal and readline. It lets one line through at a time, so that what is typed or pasted while a command runs waits,
 * unseen, for the next prompt; it sees Ctrl-C meanwhile; and it takes bracketed pastes apart, whose text is inserted as it is: a tab
 * in it completes nothing. https://invisible-island.net/xterm/ctlseqs/ctlseqs.html#h2-Bracketed-Paste-Mode
 */
import { Readable } from 'node:stream'

export interface TerminalSource {
  on(event: 'data', listener: (chunk: Buffer) => void): unknown
  on(event: 'end' | 'close', listener: () => void): unknown
  off(event: 'data', listener: (chunk: Buffer) => void): unknown
  off(event: 'end' | 'close', listener: () => void): unknown
  setRawMode?(mode: boolean): unknown
  pause(): unknown
  resume(): unknown
}

export interface TerminalEvents {
  /** Pasted text without any line end. */
  insert(text: string): void
  /** A line end in a paste. */
  enter(): void
  /** Ctrl-C while a line is being answered; what waited behind it is forgotten. */
  interrupt(): void
}

export const PASTE_ON = '\u001b[?2004h'
export const PASTE_OFF = '\u001b[?2004l'

const PASTE_START = Buffer.from('\u001b[200~')
const PASTE_END = Buffer.from('\u001b[201~')
const ESCAPE = 27
const CTRL_C = 3
const LINE_FEED = 10
const RETURN = 13
/** Waiting input beyond this is not read until there is a prompt again. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024

export class TerminalInput extends Readable {
  readonly isTTY = true
  readonly #source: TerminalSource
  readonly #events: TerminalEvents
  #waiting: Buffer[] = []
  #waitingBytes = 0
  /** Until the first prompt, and from each line's end to the next prompt. */
  #isHeld = true
  #isRunning = false
  #isPaste = false
  /** The end of a paste that Ctrl-C has cut short is not typed text. */
  #isForgotten = false
  /** Bytes of the paste's start, or end, seen so far. */
  #matched = 0
  /** CR and LF are one line's end. */
  #lastByte = 0
  readonly #pasted: Buffer[] = []

  constructor(source: TerminalSource, events: TerminalEvents) {
    super()
    this.#source = source
    this.#events = events
    source.on('data', this.#onData)
    source.on('end', this.#onEnd)
    source.on('close', this.#onEnd)
  }

  override _read(): void {}

  setRawMode(mode: boolean): this {
    this.#source.setRawMode?.(mode)
    return this
  }

  /** There is a prompt: the next line may come. */
  release(): void {
    this.#isHeld = false
    this.#run()
  }

  detach(): void {
    this.#source.off('data', this.#onData)
    this.#source.off('end', this.#onEnd)
    this.#source.off('close', this.#onEnd)
    this.#source.pause()
  }

  readonly #onEnd = (): void => {
    this.emit('end')
  }

  readonly #onData = (chunk: Buffer): void => {
    const stop = this.#isHeld ? chunk.lastIndexOf(CTRL_C) : -1
    if (stop >= 0) {
      this.#forget(chunk.subarray(0, stop))
      this.#wait(chunk.subarray(stop + 1))
      this.#events.interrupt()
      return
    }
    this.#wait(chunk)
    this.#run()
  }

  #wait(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#waiting.push(chunk)
    this.#waitingBytes += chunk.length
    if (this.#waitingBytes > MAX_WAITING_BYTES) this.#source.pause()
  }

  /** Reads what waits without showing or doing it: only whether a paste is still under way is kept. */
  #forget(last: Buffer): void {
    const forgotten = [...this.#waiting, last]
    this.#waiting = []
    this.#waitingBytes = 0
    this.#pasted.length = 0
    for (const chunk of forgotten) for (const byte of chunk) this.#step(byte)
    this.#isForgotten = this.#isPaste
    this.#source.resume()
  }

  #run(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    while (!this.#isHeld && this.#waiting.length > 0) {
      const [chunk] = this.#waiting
      const used = this.#isPaste ? this.#takePaste(chunk) : this.#takeKeys(chunk)
      this.#waitingBytes -= used
      if (used < chunk.length) this.#waiting[0] = chunk.subarray(used)
      else this.#waiting.shift()
      if (this.#waitingBytes <= MAX_WAITING_BYTES) this.#source.resume()
      this.#deliver()
    }
    this.#isRunning = false
  }

  /** Set by take...(), done by #deliver() once the rest is back in its place: what it calls may come back here. */
  #due: (() => void)[] = []

  #deliver(): void {
    const due = this.#due
    this.#due = []
    for (const act of due) act()
  }

  /** Up to a line's end or a paste's start; the bytes used. */
  #takeKeys(chunk: Buffer): number {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]
      const isSecondOfPair = byte === LINE_FEED && this.#lastByte === RETURN
      this.#lastByte = byte
      if (isSecondOfPair) {
        this.#emitKeys(chunk.subarray(0, at))
        return at + 1
      }
      this.#step(byte)
      const isLineEnd = byte === RETURN || byte === LINE_FEED
      if (!isLineEnd && !this.#isPaste) continue
      if (isLineEnd) this.#isHeld = true
      // readline knows the paste's marks and does nothing for them.
      this.#emitKeys(chunk.subarray(0, at + 1))
      return at + 1
    }
    this.#emitKeys(chunk)
    return chunk.length
  }

  #emitKeys(bytes: Buffer): void {
    if (bytes.length > 0) this.#due.push(() => this.emit('data', bytes))
  }

  /** Up to a line's end or the paste's end; the bytes used. */
  #takePaste(chunk: Buffer): number {
    const start = this.#pasted.length
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]
      const isSecondOfPair = byte === LINE_FEED && this.#lastByte === RETURN
      this.#lastByte = byte
      this.#step(byte)
      if (!this.#isPaste) {
        this.#pasted.push(chunk.subarray(0, at + 1))
        this.#emitPasted(PASTE_END.length)
        return at + 1
      }
      if (byte !== RETURN && byte !== LINE_FEED) continue
      this.#pasted.push(chunk.subarray(0, at))
      if (isSecondOfPair && start === 0 && at === 0) {
        this.#pasted.length = 0
        return 1
      }
      this.#emitPasted(0)
      if (!this.#isForgotten) {
        this.#isHeld = true
        this.#due.push(() => this.#events.enter())
      }
      return at + 1
    }
    this.#pasted.push(chunk)
    return chunk.length
  }

  /** `markBytes`: how much of the end is the paste's mark. */
  #emitPasted(markBytes: number): void {
    const all = Buffer.concat(this.#pasted)
    this.#pasted.length = 0
    const text = all.toString('utf8', 0, all.length - markBytes)
    if (text !== '' && !this.#isForgotten) this.#due.push(() => this.#events.insert(text))
    if (markBytes > 0) this.#isForgotten = false
  }

  /** Follows the marks around a paste, byte by byte: they may come in pieces. */
  #step(byte: number): void {
    const mark = this.#isPaste ? PASTE_END : PASTE_START
    if (byte === mark[this.#matched]) this.#matched++
    else this.#matched = byte === ESCAPE ? 1 : 0
    if (this.#matched < mark.length) return
    this.#matched = 0
    this.#isPaste = !this.#isPaste
  }
}
