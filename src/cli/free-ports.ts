/** Are these ports ours to take? Asked before anything is started, so that a taken one is named and nothing half runs. */
import { createServer } from 'node:net'
import { fail, type Outcome, succeed } from '../platform/failure.ts'

export async function checkPortsFree(host: string, ports: readonly number[]): Promise<Outcome<null>> {
  for (const port of ports) {
    const code = await bindError(host, port)
    if (code === null) continue
    const address = `${host}:${port}`
    if (code === 'EADDRINUSE') {
      return fail('port-taken', `port ${port} is taken (${address})`, 'stop what listens there, or give another --port')
    }
    if (code === 'EACCES')
      return fail('port-denied', `port ${port} is not allowed (${address})`, 'give a --port above 1023')
    return fail(
      'host-unusable',
      `cannot listen on ${address} (${code})`,
      'give a --host that is an address of this machine',
    )
  }
  return succeed(null)
}

function bindError(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}
