// One line at a time; pastes as they are, however the terminal cuts them up.
import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { TerminalInput, type TerminalSource } from './terminal-input.ts'

class Terminal extends EventEmitter {
  readonly seen: string[] = []
  readonly input: TerminalInput

  constructor() {
    super()
    const source = Object.assign(this, { pause: () => {}, resume: () => {} })
    this.input = new TerminalInput(source as TerminalSource, {
      insert: (text) => this.seen.push(`insert ${text}`),
      enter: () => this.seen.push('enter'),
      interrupt: () => this.seen.push('interrupt'),
    })
    this.input.on('data', (bytes: Buffer) => this.seen.push(`keys ${bytes}`))
  }

  type(text: string): void {
    this.emit('data', Buffer.from(text))
  }

  /** What was seen since. */
  take(): string[] {
    return this.seen.splice(0)
  }
}

test('typed lines come one for each prompt', () => {
  const terminal = new Terminal()
  terminal.type('early\r')
  expect(terminal.take()).toEqual([])
  terminal.input.release()
  expect(terminal.take()).toEqual(['keys early\r'])
  terminal.type('a\rb')
  expect(terminal.take()).toEqual([])
  terminal.input.release()
  terminal.input.release()
  expect(terminal.take()).toEqual(['keys a\r', 'keys b'])
  terminal.type('\r\nc\n')
  expect(terminal.take()).toEqual(['keys \r'])
  terminal.input.release()
  expect(terminal.take()).toEqual(['keys c\n'])
})

const START = '\u001b[200~'
const END = '\u001b[201~'

test('a paste is text, line by line, wherever it is cut', () => {
  const wire = `x${START}put a\t1\rput b "2\nget a${END}y`
  const whole = Buffer.from(wire)
  for (let cut = 1; cut < whole.length; cut++) {
    const terminal = new Terminal()
    terminal.emit('data', whole.subarray(0, cut))
    terminal.input.release()
    terminal.emit('data', whole.subarray(cut))
    terminal.input.release()
    terminal.input.release()
    const seen = terminal.take()
    const keys = seen.filter((line) => line.startsWith('keys ')).map((line) => line.slice(5))
    expect(keys.join(''), `cut at ${cut}`).toBe(`x${START}y`)
    expect(seen.filter((line) => !line.startsWith('keys '))).toEqual([
      'insert put a\t1',
      'enter',
      'insert put b "2',
      'enter',
      'insert get a',
    ])
  }
})

test('CR and LF in a paste are one line end', () => {
  const terminal = new Terminal()
  terminal.type(`${START}a\r\nb${END}`)
  terminal.input.release()
  expect(terminal.take().slice(1)).toEqual(['insert a', 'enter'])
  terminal.input.release()
  expect(terminal.take()).toEqual(['insert b'])
})

test('Ctrl-C while a command runs forgets what waits, also the rest of a paste that is yet to come', () => {
  const terminal = new Terminal()
  terminal.input.release()
  terminal.type('slow\r')
  terminal.type('next\rmore\u0003after')
  expect(terminal.take()).toEqual(['keys slow\r', 'interrupt'])
  terminal.input.release()
  expect(terminal.take()).toEqual(['keys after'])
  terminal.type(`${START}one\rtwo\r`)
  terminal.type('\u0003')
  terminal.take()
  terminal.input.release()
  terminal.type(`DEL everything\rDEL more\r${END}get a\r`)
  expect(terminal.take()).toEqual(['keys get a\r'])
})

test('Ctrl-C at a prompt is readline’s', () => {
  const terminal = new Terminal()
  terminal.input.release()
  terminal.type('ab\u0003')
  expect(terminal.take()).toEqual(['keys ab\u0003'])
})
