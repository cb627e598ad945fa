/** Are these ports ours to take? Asked before anything is started, so that a taken one is named and nothing half runs. */
import { createServer } from 'node:net'
import { fail, type Outcome, succeed } from '../platform/failure.ts'
import { formatAddress } from '../platform/node-network.ts'
import type { ListenError } from '../ports/network.ts'

export async function checkPortsFree(host: string, ports: readonly number[]): Promise<Outcome<null>> {
  for (const port of ports) {
    const code = await bindError(host, port)
    if (code === null) continue
    const kind = code === 'EADDRINUSE' ? 'address-in-use' : code === 'EACCES' ? 'denied' : 'failed'
    return portFailure(kind, host, port, `cannot listen on ${host}:${port} (${code})`)
  }
  return succeed(null)
}

/** `message` says what the system said, where the port is neither taken nor forbidden. */
export function portFailure(code: ListenError, host: string, port: number, message: string): Outcome<never> {
  const address = formatAddress(host, port)
  switch (code) {
    case 'address-in-use':
      return fail('port-taken', `port ${port} is taken (${address})`, 'stop what listens there, or give another --port')
    case 'denied':
      return fail('port-denied', `port ${port} is not allowed (${address})`, 'give a --port above 1023')
    case 'failed':
      return fail('host-unusable', message, 'give a --host that is an address of this machine')
  }
}

function bindError(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}
