/**
 * CONFIG GET, SET, RESETSTAT, REWRITE. SET changes all of its parameters or none; what it changes is this node's alone, and lasts until the
 * node restarts.
 */
import { latin1Bytes } from '../../base/bytes.ts'
import { globMatchesText } from '../../base/glob.ts'
import { bulkReply, errorReply, mapReply, OK_REPLY } from '../../protocol/resp-reply.ts'
import type { NamedReplies } from './commands.ts'
import { type ConfigParameter, configParameters } from './config-parameters.ts'
import type { Door, DoorReply } from './door.ts'
import { SYNTAX_ERROR } from './errors.ts'
import { wordText } from './words.ts'

const NO_CONFIG_FILE = errorReply('ERR The server is running without a config file')

const getReply: DoorReply = (door, _client, words) => {
  const asked: string[] = []
  for (let i = 2; i < words.wordCount; i++) asked.push(wordText(words, i))
  const patterns = asked.filter((word) => /[[*?]/.test(word)).map((word) => word.toLowerCase())
  const found: [Uint8Array, Uint8Array][] = []
  for (const [name, parameter] of configParameters(door)) {
    // Who asks for a name gets it as it was written.
    const literal = asked.find((word) => word.toLowerCase() === name)
    const matched = !parameter.hidden && patterns.some((pattern) => globMatchesText(pattern, name))
    if (literal === undefined && !matched) continue
    const value = parameter.read(door, door.config)
    found.push([bulkReply(latin1Bytes(literal ?? name)), bulkReply(latin1Bytes(value))])
  }
  return mapReply(found)
}

interface Change {
  readonly parameter: ConfigParameter
  readonly text: string
}

const setReply: DoorReply = (door, _client, words) => {
  if (words.wordCount % 2 !== 0) return SYNTAX_ERROR
  const parameters = configParameters(door)
  const changes: Change[] = []
  for (let i = 2; i < words.wordCount; i += 2) {
    const name = wordText(words, i)
    const parameter = parameters.get(name.toLowerCase())
    if (parameter === undefined) {
      return errorReply(`ERR Unknown option or number of arguments for CONFIG SET - '${name}'`)
    }
    if (parameter.write === null) return failed(name, "can't set immutable config")
    if (changes.some((change) => change.parameter === parameter)) return failed(name, 'duplicate parameter')
    changes.push({ parameter, text: wordText(words, i + 1) })
  }
  return setAll(door, changes)
}

function setAll(door: Door, changes: readonly Change[]): Uint8Array {
  const former = { ...door.config }
  for (const { parameter, text } of changes) {
    const error = parameter.write?.(door, door.config, text) ?? null
    if (error === null) continue
    Object.assign(door.config, former)
    return failed(parameter.name, error)
  }
  door.configChanged()
  return OK_REPLY
}

function failed(name: string, why: string): Uint8Array {
  return errorReply(`ERR CONFIG SET failed (possibly related to argument '${name}') - ${why}`)
}

export const CONFIG_REPLIES: NamedReplies = [
  ['config|get', getReply],
  ['config|set', setReply],
  ['config|rewrite', () => NO_CONFIG_FILE],
  [
    'config|resetstat',
    (door) => {
      door.resetStats()
      return OK_REPLY
    },
  ],
]
