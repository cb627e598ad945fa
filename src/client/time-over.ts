/** What a call whose time is over is told: above all whether it may have run. */
import { Busy, NotResponsible, OutcomeUnknown, Redirect, Timeout, Unreachable } from './errors.ts'
import type { PendingCall } from './pending-call.ts'

export function timeOverError(call: PendingCall, mayRun: boolean): Error {
  const { trouble, name } = call
  const met = trouble === null ? 'no answer' : trouble.text
  if (call.isWrite && mayRun) {
    return new OutcomeUnknown(`${name} may or may not have run: its time was over before an answer came (${met})`)
  }
  switch (trouble?.kind) {
    case 'unreachable':
      return new Unreachable(`${name}: no server could be reached in time (${met})`)
    case 'unserved':
      return new NotResponsible(`${name}: nobody served the slot in time (${met})`)
    case 'redirect':
      return new Redirect(`${name}: it was sent from one server to the other until its time was over`, trouble.address)
    case 'busy':
      return new Busy(`${name}: the servers had too much to do until its time was over (${met})`)
    default:
      return new Timeout(`${name}: its time was over before an answer came (${met})`)
  }
}
