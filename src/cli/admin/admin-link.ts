/** Administration calls to a cluster, through whichever of its nodes answers. */
import { type Failure, fail, type Outcome, succeed } from '../../platform/failure.ts'
import { askMaster } from '../master-calls.ts'

/** Longer than a node itself takes for its longest call. */
const ANSWER_WITHIN_MS = 35_000
const READS: ReadonlySet<string> = new Set(
  'status nodes groups slots reconfigs reconfig migrations key-group digest token'.split(' '),
)

export type AdminLink = (call: string, args: Readonly<Record<string, unknown>>) => Promise<Outcome<unknown>>

/** Addresses are tried in turn; what may have been carried out is asked of no second node. */
export function adminLink(addresses: readonly string[]): AdminLink {
  return async (call, args) => {
    let failure: Failure = { code: 'unreachable', message: 'no address was given', mend: 'give --addr HOST:PORT' }
    for (const address of addresses) {
      const reply = await askMaster(address, call, args, ANSWER_WITHIN_MS)
      if (reply.kind === 'answer') return succeed(reply.value)
      if (reply.kind === 'refused') return fail(reply.code, reply.message, reply.mend)
      if (reply.sent && !READS.has(call)) {
        const message = `${address} took ${call}, and did not answer (${reply.message}): it may have been done`
        return fail('uncertain', message, 'look before asking again: quorate admin status')
      }
      const message = `no node answers at ${addresses.join(', ')} (${reply.message})`
      failure = {
        code: 'unreachable',
        message,
        mend: 'give --addr the address of a node that runs: its first RESP port',
      }
    }
    return { ok: false, failure }
  }
}
