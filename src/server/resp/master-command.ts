/**
 * KV.MASTER: the administration of the cluster, over RESP. Any node takes every call; the answer is a bulk string of JSON.
 *
 *   KV.MASTER call [json]                 any call of `quorate admin` by its name, its arguments as one JSON object
 *   KV.MASTER GETKEYGROUP key             the same as key-group
 *   KV.MASTER RECONFIG ranges group       move: ranges as 0-99,120
 *   KV.MASTER GETRECONFIG id              reconfig
 *   KV.MASTER SLOTS                       slots
 *   KV.MASTER JOIN json                   with a "token": lets a new node into the cluster
 *
 * A refusal is `-ERR code: message; mend`: the code in lower case, for programs, the rest for people.
 */
import { latin1Text } from '../../base/bytes.ts'
import { slotOf } from '../../base/slot.ts'
import type { AdminArguments, AdminError } from '../../ports/cluster-admin.ts'
import type { RequestWords } from '../../protocol/resp-parser.ts'
import { bulkText, errorReply } from '../../protocol/resp-reply.ts'
import type { Door, Handler } from './door.ts'
import { wordText, wordView } from './words.ts'

/** Names of programs and of people, whichever case they write them in. */
const MAX_NAME = 64
const MAX_JSON_BYTES = 1024 * 1024

interface MasterCall {
  readonly name: string
  readonly args: AdminArguments
}

const NO_CLUSTER: AdminError = {
  code: 'unavailable',
  message: 'this node serves no cluster',
  mend: 'ask a node that does',
}

export const runMaster: Handler = (door, connection) => {
  // What this client asked for before has been answered: a move begins after its writes.
  if (connection.pendingCount > 0) return false
  const { admin } = door.options
  const call = admin === null ? NO_CLUSTER : callOf(door, connection.words)
  if (admin === null || 'code' in call) {
    connection.answer(refusal(call as AdminError))
    return true
  }
  const request = connection.openKeepingWords()
  admin.call(call.name, call.args, (error, answer) => {
    if (connection.isClosed) return
    connection.settle(request, error === null ? bulkText(JSON.stringify(answer)) : refusal(error))
  })
  return true
}

function refusal({ code, message, mend }: AdminError): Uint8Array {
  const text = `ERR ${code}: ${message}; ${mend.replaceAll('; ', ', ')}`
  return errorReply(text.replaceAll(/[\r\n]+/g, ' '))
}

function callOf(door: Door, words: RequestWords): MasterCall | AdminError {
  const name = wordText(words, 1).slice(0, MAX_NAME).toLowerCase()
  const count = words.wordCount
  switch (name) {
    case 'getkeygroup':
      if (count !== 3) return wrongForm('GETKEYGROUP key')
      return { name: 'key-group', args: { slot: slotOf(wordView(words, 2), door.router.slotCount) } }
    case 'reconfig':
      if (count === 3) break
      if (count !== 4) return wrongForm('RECONFIG ranges group')
      return { name: 'move', args: { ranges: wordText(words, 2), to: numberOf(wordText(words, 3)) } }
    case 'getreconfig':
      if (count !== 3) return wrongForm('GETRECONFIG id')
      return { name: 'reconfig', args: { reconfig: numberOf(wordText(words, 2)) } }
  }
  if (count > 3) return wrongForm('call [json]')
  const args = count === 3 ? jsonObject(wordView(words, 2)) : {}
  if (args === null) {
    const message = `${name}: its arguments are no JSON object of at most ${MAX_JSON_BYTES} bytes`
    return { code: 'malformed-argument', message, mend: 'give them as {"name":value,...}' }
  }
  return { name: name === 'join' && args.token !== undefined ? 'join-cluster' : name, args }
}

/** What is no number stays text, for the call's own check to name it. */
function numberOf(text: string): number | string {
  return /^\d{1,15}$/.test(text) ? Number(text) : text
}

function jsonObject(bytes: Uint8Array): AdminArguments | null {
  if (bytes.length > MAX_JSON_BYTES) return null
  try {
    const value: unknown = JSON.parse(utf8Text(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as AdminArguments) : null
  } catch {
    return null
  }
}

/** Throws where it is no UTF-8. */
function utf8Text(bytes: Uint8Array): string {
  const percents = latin1Text(bytes).replace(
    /[%\u0080-\u00ff]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
  return decodeURIComponent(percents)
}

function wrongForm(form: string): AdminError {
  return { code: 'malformed-argument', message: 'wrong number of arguments', mend: `write KV.MASTER ${form}` }
}
