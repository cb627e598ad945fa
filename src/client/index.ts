/** `import { connect } from 'quorate/client'`: the client on real sockets. docs/client.md explains it. */
import { NodeClock } from '../platform/node-clock.ts'
import { NodeNetwork } from '../platform/node-network.ts'
import { type ClientOptions, QuorateClient } from './quorate-client.ts'

export type { ReadLevel } from '../ports/request-router.ts'
export {
  Aborted,
  Busy,
  type ClientErrorCode,
  Closed,
  CommandError,
  NotResponsible,
  OutcomeUnknown,
  QuorateClientError,
  Redirect,
  ReplyLost,
  Timeout,
  Unreachable,
  UsageError,
} from './errors.ts'
export type { CallOptions, CasResult, ClientOptions, SetOptions, Signal } from './quorate-client.ts'
export { QuorateClient } from './quorate-client.ts'
export { type Reply, ReplyError } from './reply.ts'
export type { Word } from './text.ts'

/** Resolves once a server has given the slot table; rejects, with everything closed again, where none does within `timeoutMs`. */
export async function connect(options: ClientOptions): Promise<QuorateClient> {
  const client = new QuorateClient(options, new NodeNetwork(), new NodeClock())
  try {
    await client.ready()
    return client
  } catch (error) {
    client.close()
    throw error
  }
}
