// The prompt's words and answers, against a server that gives canned replies and records what it was asked.
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ReplSession, runRepl } from './repl.ts'
import { RespReplyParser } from './resp-reply.ts'

let server: Server
let address: string
let replies: string[]
let asked: string[]

beforeEach(async () => {
  replies = []
  asked = []
  server = createServer((socket) => {
    // A request is an array of bulk strings, so the reply parser reads it too.
    const parser = new RespReplyParser()
    socket.on('data', (chunk) => {
      for (const request of parser.push(chunk)) {
        asked.push((request as Buffer[]).join(' '))
        const reply = replies.shift()
        if (reply === undefined) socket.destroy()
        else socket.write(reply)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  address = `127.0.0.1:${(server.address() as { port: number }).port}`
})

afterEach(() => {
  server.close()
})

test('put, get, delete and cas speak plainly', async () => {
  const session = new ReplSession([address])
  const dialogue: [line: string, reply: string, request: string, answer: string][] = [
    ['put a "b c"', '+OK\r\n', 'SET a b c', 'stored'],
    ['get a', '$3\r\nb c\r\n', 'GET a', '"b c"'],
    ['get x', '$-1\r\n', 'GET x', '(no such key)'],
    ['delete a b', ':2\r\n', 'DEL a b', '2 removed'],
    ['cas a 1 2', '*2\r\n:1\r\n$1\r\n2\r\n', 'KV.CAS a 1 2', 'swapped: it is "2" now'],
    ['cas a 1 2', '*2\r\n:0\r\n$1\r\n9\r\n', 'KV.CAS a 1 2', 'not swapped: it is "9"'],
    ['cas a 1 2', '*2\r\n:0\r\n$-1\r\n', 'KV.CAS a 1 2', 'not swapped: it is (no such key)'],
    ['INCR n', ':1\r\n', 'INCR n', '(integer) 1'],
    ['put a b', '-CLUSTERDOWN no leader\r\n', 'SET a b', '(error) CLUSTERDOWN no leader'],
  ]
  for (const [line, reply, request, answer] of dialogue) {
    replies.push(reply)
    expect(await session.answer(line)).toBe(answer)
    expect(asked.pop()).toBe(request)
  }
  session.close()
})

test('wrong use is explained and nothing is sent', async () => {
  const session = new ReplSession([address])
  expect(await session.answer('put a')).toBe('(error) usage: put KEY VALUE')
  expect(await session.answer('delete')).toBe('(error) usage: delete KEY...')
  expect(await session.answer('get "a')).toBe('(error) a quote is not closed')
  expect(await session.answer('')).toBe('')
  expect(await session.answer('help')).toContain('cas KEY EXPECTED NEW')
  expect(await session.answer('exit')).toBeNull()
  expect(asked).toEqual([])
})

test('a broken connection leaves the outcome open, and the next line goes on', async () => {
  const session = new ReplSession(['127.0.0.1:1', address])
  expect(await session.answer('put a b')).toMatch(/closed the connection; what was asked may or may not have happened/)
  replies.push('+OK\r\n')
  expect(await session.answer('put a b')).toBe('stored')
  session.close()
  expect(await new ReplSession(['127.0.0.1:1']).answer('get a')).toMatch(/^\(error\) no node answers/)
})

test('a session of lines, until exit', async () => {
  const input = new PassThrough()
  const output = new PassThrough()
  replies.push('+OK\r\n', '$1\r\nb\r\n')
  input.write('put a b\nget a\nexit\nget never\n')
  await runRepl([address], input, output, new AbortController().signal)
  expect(asked).toEqual(['SET a b', 'GET a'])
  expect(String(output.read())).toBe('quorate> stored\nquorate> "b"\nquorate> ')
})

test('the end of input and an abort end the session too', async () => {
  const ended = new PassThrough()
  ended.end()
  await runRepl([address], ended, new PassThrough(), new AbortController().signal)
  const controller = new AbortController()
  const running = runRepl([address], new PassThrough(), new PassThrough(), controller.signal)
  controller.abort()
  await running
  expect(asked).toEqual([])
})
