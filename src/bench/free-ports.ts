/** Ports that nobody listens on now, below the range that the kernel hands out to clients, so that it cannot take them. */
import { createServer } from 'node:net'
import { setupError } from './bench-error.ts'

export const HOST = '127.0.0.1'
const FIRST_PORT = 20_000
const LAST_PORT = 32_000
const MAX_TRIES = 200

const given = new Set<number>()

/** The first of `count` neighbours that are all free. Never hands out a port twice. */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const first = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT - count))
    const ports = Array.from({ length: count }, (_, i) => first + i)
    if (ports.some((port) => given.has(port))) continue
    const free = await Promise.all(ports.map(isFree))
    if (free.includes(false)) continue
    for (const port of ports) given.add(port)
    return first
  }
  throw setupError(`no ${count} free ports in a row between ${FIRST_PORT} and ${LAST_PORT}`, 'stop some servers')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: HOST, port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
