// The prompt at a terminal that is none, against a server that gives canned replies and records what it was asked.
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually } from '../chaos/eventually.ts'
import { type Repl, startRepl } from './repl.ts'
import { RespReplyParser } from './resp-reply.ts'

let directory: string
let history: string
let server: Server
let address: string
/** By command line; null: no reply at all. */
let replies: Map<string, string | null>
let asked: string[]
/** The prompt's own connections. */
let sockets: Socket[]
let allSockets: Socket[]

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-repl-'))
  history = join(directory, 'history')
  replies = new Map([['HELLO 3', '%1\r\n+proto\r\n:3\r\n']])
  asked = []
  sockets = []
  allSockets = []
  server = createServer((socket) => {
    allSockets.push(socket)
    // A request is an array of bulk strings, so the reply parser reads it too.
    const parser = new RespReplyParser()
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      for (const request of parser.push(chunk)) {
        const line = (request as Buffer[]).join(' ')
        if (line === 'HELLO 3') sockets.push(socket)
        // KV.TABLE: the prompt asks whether there is a cluster.
        if (line !== 'HELLO 3' && line !== 'KV.TABLE') asked.push(line)
        const reply = replies.has(line) ? replies.get(line) : '+OK\r\n'
        if (typeof reply === 'string') socket.write(reply)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  address = `127.0.0.1:${(server.address() as { port: number }).port}`
})

afterEach(() => {
  server.close()
  for (const socket of allSockets) socket.destroy()
  rmSync(directory, { recursive: true, force: true })
})

/** Dim, and the cursor goes back over it. */
const ESCAPE = '\u001b'
const HINT = new RegExp(`${ESCAPE}\\[2m[^${ESCAPE}]*${ESCAPE}\\[22m${ESCAPE}\\[\\d+D`, 'g')

class Terminal {
  readonly repl: Repl
  readonly #input = new PassThrough()
  readonly #output = Object.assign(new PassThrough(), { isTTY: true, columns: 100 })
  readonly #stop = new AbortController()
  #shown = ''

  constructor(addresses = [address], home?: string) {
    this.#output.on('data', (chunk) => {
      this.#shown += chunk
    })
    const environment = { QUORATE_HISTORY: history, NO_COLOR: '1' }
    const { signal } = this.#stop
    const input = Object.assign(this.#input, { setRawMode: () => {} })
    this.repl = startRepl({ addresses, input, output: this.#output, environment, signal, home })
  }

  type(text: string): void {
    this.#input.write(text)
  }

  /** Until `text` was shown after what was waited for last. */
  async sees(text: string): Promise<void> {
    await eventually(JSON.stringify(text), 5_000, () => {
      const shown = stripVTControlCharacters(this.#shown.replace(HINT, ''))
      const at = shown.indexOf(text)
      if (at >= 0) this.#shown = shown.slice(at + text.length)
      return at >= 0
    }).catch((error: Error) => {
      throw new Error(`${error.message}; on the screen: ${JSON.stringify(this.#shown)}`)
    })
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.repl.ended
  }
}

test('put, get, delete and cas speak plainly, other commands show their types', async () => {
  const dialogue: [line: string, request: string, reply: string, answer: string][] = [
    ['put a "b c"', 'SET a b c', '+OK\r\n', 'stored'],
    ['get a', 'get a', '$3\r\nb c\r\n', '"b c"'],
    ['get x', 'get x', '_\r\n', '(nil)'],
    ['delete a b', 'DEL a b', ':2\r\n', '2 removed'],
    ['cas a 1 2', 'KV.CAS a 1 2', '*2\r\n:1\r\n$1\r\n2\r\n', 'swapped: it is "2" now'],
    ['cas a 2 3', 'KV.CAS a 2 3', '*2\r\n:0\r\n$1\r\n9\r\n', 'not swapped: it is "9"'],
    ['INCR n', 'INCR n', ':1\r\n', '(integer) 1'],
    ['put c d', 'SET c d', '-CLUSTERDOWN no leader\r\n', '(error) CLUSTERDOWN no leader\n  nothing was done'],
    ['put a', '', '', '(error) wrong number of arguments for put; usage: put KEY VALUE'],
    ['put "a"b c', '', '', '(error) a closing quote is followed by something else than a blank'],
    ['help setex', '', '', 'SETEX key seconds value'],
  ]
  const terminal = new Terminal()
  for (const [line, request, reply, answer] of dialogue) {
    replies.set(request, reply)
    await terminal.sees(`${address}> `)
    terminal.type(`${line}\r`)
    await terminal.sees(answer)
    expect(asked.pop() ?? '').toBe(request)
  }
  terminal.type('exit\r')
  await terminal.repl.ended
})

test('what is pasted runs in order, each line under its own prompt', async () => {
  const terminal = new Terminal([address], 'quorate')
  await terminal.sees('quorate> ')
  terminal.type('\u001b[200~put a 1\rput b "two\rlines"\r\tput c \\\r3\u001b[201~')
  await terminal.sees('put a 1\r\nstored\nquorate> put b "two\r\n... lines"\r\nstored\nquorate> \tput c \\\r\n... 3')
  expect(asked).toEqual(['SET a 1', 'SET b two\nlines'])
  terminal.type('\r')
  await terminal.sees('stored\nquorate> ')
  expect(asked).toEqual(['SET a 1', 'SET b two\nlines', 'SET c 3'])
  await terminal.stop()
  expect(readFileSync(history, 'utf8')).toBe('put a 1\nput b "two\\nlines"\nput c 3\n')
})

test('Ctrl-C clears a line, and the lines before it of the same command; on an empty line it leaves', async () => {
  const terminal = new Terminal()
  await terminal.sees('> ')
  terminal.type('flushall\u0003')
  await terminal.sees(`flushall^C\n`)
  await terminal.sees('> ')
  terminal.type('put a "open\r')
  await terminal.sees('... ')
  terminal.type('more\u0003')
  await terminal.sees(`${address}> `)
  terminal.type('PING\r')
  await terminal.sees('OK')
  expect(asked).toEqual(['PING'])
  await terminal.sees('> ')
  terminal.type('\u0003')
  await terminal.repl.ended
})

test('Ctrl-C stops waiting: what was under way may have happened, and nothing is sent again', async () => {
  replies.set('SET a 1', null)
  replies.set('get a', null)
  const terminal = new Terminal()
  await terminal.sees('> ')
  terminal.type('put a 1\r')
  await eventually('the request', 5_000, () => asked.length === 1)
  terminal.type('put never 1\r\u0003')
  await terminal.sees('(error) stopped waiting: SET may or may not have happened; look before you send it again')
  await terminal.sees(`${address}> `)
  terminal.type('get a\r')
  await eventually('the request', 5_000, () => asked.length === 2)
  terminal.type('\u0003')
  await terminal.sees('(error) stopped waiting; ask again: GET changes nothing')
  await terminal.sees(`${address}> `)
  expect(asked).toEqual(['SET a 1', 'get a'])
  await terminal.stop()
})

test('a lost connection: a notice, an open outcome, and the next command goes on', async () => {
  replies.set('SET a 1', null)
  const terminal = new Terminal(['127.0.0.1:1', address])
  await terminal.sees(`${address}> `)
  terminal.type('put a 1\r')
  await eventually('the request', 5_000, () => asked.length === 1)
  for (const socket of sockets) socket.destroy()
  await terminal.sees(`-- the connection to ${address} was lost: `)
  await terminal.sees('SET may or may not have happened; look before you send it again')
  await terminal.sees(`${address}> `)
  // While a line is being typed, the news stands above it.
  terminal.type('put b')
  await terminal.sees('put b')
  for (const socket of sockets) socket.destroy()
  await terminal.sees(`-- the connection to ${address} was lost: `)
  await terminal.sees(`-- connected to ${address} again`)
  await terminal.sees(`${address}> put b`)
  terminal.type(' 2\r')
  await terminal.sees('stored')
  expect(asked).toEqual(['SET a 1', 'SET b 2'])
  await terminal.stop()
})

test('a transaction shows in the prompt; one that lost its connection runs no command by itself', async () => {
  replies.set('SET a 1', '+QUEUED\r\n')
  const terminal = new Terminal()
  await terminal.sees('> ')
  terminal.type('multi\r')
  await terminal.sees(`${address}(TX)> `)
  terminal.type('put a 1\r')
  await terminal.sees('QUEUED')
  for (const socket of sockets) socket.destroy()
  await terminal.sees(`-- connected to ${address} again`)
  await terminal.sees(`${address}(TX lost)> `)
  const lost = '(error) the transaction was lost with its connection; nothing of it was run;'
  terminal.type('put a 2\r')
  await terminal.sees(`${lost} end it with DISCARD`)
  await terminal.sees(`${address}(TX lost)> `)
  terminal.type('exec\r')
  await terminal.sees(`${lost} begin it again`)
  await terminal.sees(`${address}> `)
  terminal.type('put a 3\r')
  await terminal.sees('stored')
  expect(asked).toEqual(['multi', 'SET a 1', 'SET a 3'])
  await terminal.stop()
})

test('messages are shown until Ctrl-C, which keeps the connection', async () => {
  replies.set('subscribe news', '>3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n')
  replies.set('UNSUBSCRIBE', '>3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:0\r\n')
  replies.set('PUNSUBSCRIBE', '>3\r\n$12\r\npunsubscribe\r\n_\r\n:0\r\n')
  const terminal = new Terminal()
  await terminal.sees('> ')
  terminal.type('subscribe news\r')
  await terminal.sees('1) "subscribe"\n2) "news"\n3) (integer) 1\nreading messages; Ctrl-C ends it\n')
  sockets[0].write('>3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n')
  await terminal.sees('1) "message"\n2) "news"\n3) "hi"\n')
  terminal.type('\u0003')
  await terminal.sees('^C\n')
  await terminal.sees(`${address}> `)
  terminal.type('ECHO x\r')
  await terminal.sees('OK')
  expect(asked).toEqual(['subscribe news', 'UNSUBSCRIBE', 'PUNSUBSCRIBE', 'PING', 'ECHO x'])
  expect(sockets).toHaveLength(1)
  await terminal.stop()
})

test('CLIENT REPLY OFF and SKIP are not waited for', async () => {
  for (const line of ['CLIENT REPLY OFF', 'CLIENT REPLY SKIP', 'SET a 1', 'SET b 2']) replies.set(line, null)
  const terminal = new Terminal()
  for (const line of ['CLIENT REPLY OFF', 'put a 1', 'CLIENT REPLY ON', 'CLIENT REPLY SKIP', 'put b 2']) {
    await terminal.sees('> ')
    terminal.type(`${line}\r`)
  }
  await terminal.sees('> ')
  terminal.type('PING\r')
  await terminal.sees('OK')
  await terminal.stop()
})

test('nothing listens: said at once, and news when a node is there', async () => {
  const port = (server.address() as { port: number }).port
  server.close()
  const terminal = new Terminal()
  await terminal.sees(
    `(error) no node answers at ${address}: nothing listens there (ECONNREFUSED); start a cluster with`,
  )
  await terminal.sees('not connected> ')
  terminal.type('get a\r')
  await terminal.sees(`(error) no node answers at ${address}`)
  server.listen(port, '127.0.0.1')
  await terminal.sees(`-- connected to ${address}\n`)
  await terminal.sees(`${address}> `)
  terminal.repl.say('quorate: something happened')
  await terminal.sees('quorate: something happened\n')
  await terminal.stop()
})

test('the history outlives the session, for its owner alone, and without passwords', async () => {
  const first = new Terminal()
  for (const line of ['auth secret', 'HELLO 3 AUTH me secret', 'ECHO one', 'ECHO one', 'ECHO two']) {
    await first.sees('> ')
    first.type(`${line}\r`)
  }
  await first.sees('OK')
  await first.sees('> ')
  await first.stop()
  expect(readFileSync(history, 'utf8')).toBe('ECHO one\nECHO two\n')
  expect(statSync(history).mode & 0o777).toBe(0o600)
  asked = []
  const second = new Terminal()
  await second.sees('> ')
  second.type('\u001b[A\u001b[A\r')
  await second.sees('OK')
  expect(asked).toEqual(['ECHO one'])
  await second.stop()
})

test('a long history is cut, the newest lines are kept', async () => {
  writeFileSync(history, Array.from({ length: 3_000 }, (_, at) => `ECHO ${at}\n`).join(''), { mode: 0o644 })
  const terminal = new Terminal()
  await terminal.sees('> ')
  await terminal.stop()
  const lines = readFileSync(history, 'utf8').trim().split('\n')
  expect([lines.length, lines[0], lines[999]]).toEqual([1_000, 'ECHO 2000', 'ECHO 2999'])
  expect(statSync(history).mode & 0o777).toBe(0o600)
})
