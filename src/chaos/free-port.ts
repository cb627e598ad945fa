/** Ports for a cluster that is started to be tormented: not those that anybody would pick for a cluster of their own. */
import { createServer } from 'node:net'

const PORTS_PER_NODE = 10
const MAX_TRIES = 200

/**
 * The first port of `nodes` nodes' worth of ports that nobody listens on now. Below the ephemeral range, so that outgoing connections
 * do not take them in the meantime; picked at random, so that two runs rarely meet (startCluster tries again if they do).
 */
export async function freePort(nodes = 3): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const base = 10_000 + PORTS_PER_NODE * Math.floor(Math.random() * 2_000)
    const ports = Array.from({ length: nodes * PORTS_PER_NODE }, (_, offset) => base + offset)
    const free = await Promise.all(ports.map(isFree))
    if (!free.includes(false)) return base
  }
  throw new Error('no run of free ports found')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
