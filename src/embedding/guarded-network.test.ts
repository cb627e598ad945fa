// Ports taken ahead of the node, and what a node leaves on the network when its life ends.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { NodeNetwork, parseAddress } from '../platform/node-network.ts'
import type { Connection } from '../ports/network.ts'
import { GuardedNetwork } from './guarded-network.ts'
import { NodeLife } from './node-life.ts'

const ends: (() => void)[] = []

afterEach(() => {
  for (const end of ends.splice(0)) end()
})

function makeNetwork(): { readonly network: GuardedNetwork; readonly errors: unknown[]; end(): void } {
  const errors: unknown[] = []
  const life: NodeLife = new NodeLife((error) => {
    errors.push(error)
    end()
  })
  const network = new GuardedNetwork(new NodeNetwork(), life)
  const end = (): void => {
    life.end()
    network.end()
  }
  ends.push(end)
  return { network, errors, end }
}

function reserve(network: GuardedNetwork): Promise<string> {
  return new Promise((done, failed) => {
    network.reserve('127.0.0.1:0', (error, address) => (error === null ? done(address) : failed(error)))
  })
}

/** Everything that reaches the listening side, one event a line. */
function listen(network: GuardedNetwork, address: string, heard: string[]): Promise<Connection> {
  return new Promise((accepted) => {
    const onConnection = (connection: Connection): void => {
      connection.setHandlers({
        onData: (bytes) => {
          const text = Buffer.from(bytes).toString()
          heard.push(text)
          if (text === 'fail') throw new Error('broken')
        },
        onClose: () => heard.push('closed'),
      })
      accepted(connection)
    }
    network.listen(address, onConnection, (error) => heard.push(error === null ? 'listening' : error.code))
  })
}

async function dial(address: string): Promise<Socket> {
  const socket = connect(parseAddress(address)?.port ?? 0, '127.0.0.1')
  socket.on('error', () => {})
  ends.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

async function eventually(what: () => boolean): Promise<void> {
  while (!what()) await new Promise((later) => setImmediate(later))
}

test('who comes before the node waits for it, and loses nothing', async () => {
  const { network } = makeNetwork()
  const address = await reserve(network)
  const socket = await dial(address)
  socket.write('early')
  const heard: string[] = []
  await listen(network, address, heard)
  await eventually(() => heard.length === 2)
  expect(heard).toEqual(['listening', 'early'])
  const later = await dial(address)
  later.write('late')
  await eventually(() => heard.length === 3)
  expect(heard[2]).toBe('late')
})

test('who has gone again before the node came is reported as gone', async () => {
  const { network } = makeNetwork()
  const address = await reserve(network)
  const socket = await dial(address)
  socket.end('short')
  const heard: string[] = []
  await listen(network, address, heard)
  await eventually(() => heard.includes('closed'))
  expect(heard).toEqual(['listening', 'short', 'closed'])
})

test('a reserved port cannot be had by anybody else, and is free once the life is over', async () => {
  const one = makeNetwork()
  const other = makeNetwork()
  const address = await reserve(one.network)
  const heard: string[] = []
  void listen(other.network, address, heard)
  await eventually(() => heard.length === 1)
  expect(heard).toEqual(['address-in-use'])
  one.end()
  void listen(other.network, address, heard)
  await eventually(() => heard.length === 2)
  expect(heard[1]).toBe('listening')
})

test('the end of a life resets its connections and tells its node nothing; an error in the node is such an end', async () => {
  const { network, errors } = makeNetwork()
  const address = await reserve(network)
  const heard: string[] = []
  const accepted = listen(network, address, heard)
  const socket = await dial(address)
  const bystander = await dial(address)
  await accepted
  socket.write('fail')
  await Promise.all([once(socket, 'close'), once(bystander, 'close')])
  expect(heard).toEqual(['listening', 'fail'])
  expect(errors).toEqual([new Error('broken')])
  await expect(
    new Promise((done, failed) => {
      connect(parseAddress(address)?.port ?? 0, '127.0.0.1', () => done('connected')).on('error', failed)
    }),
  ).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})
