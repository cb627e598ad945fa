import { describe, expect, it } from 'vitest'
import { type CommandArgument, commandArguments } from './command-arguments.ts'
import { COMMANDS_BY_NAME } from './command-table.ts'

/** The tree in one line, for people: `name:type`, `TOKEN=`, `?` optional, `+` multiple, parts in parentheses. */
function shown({ name, type, token, optional, multiple, parts }: CommandArgument): string {
  const inside = parts.length === 0 ? `${name}:${type}` : `${type}(${parts.map(shown).join(' ')})`
  return `${token === null ? '' : `${token}=`}${inside}${optional ? '?' : ''}${multiple ? '+' : ''}`
}

const tree = (syntax: string): string => commandArguments(syntax).map(shown).join(' ')

describe('commandArguments', () => {
  it.each([
    ['', ''],
    ['key value', 'key:key value:string'],
    ['key [key ...]', 'key:key+'],
    ['key value [key value ...]', 'block(key:key value:string)+'],
    ['[message]', 'message:string?'],
    ['<ON|OFF>', 'oneof(ON=on:pure-token OFF=off:pure-token)'],
    ['key [EX seconds|PERSIST]', 'key:key oneof(EX=seconds:integer PERSIST=persist:pure-token)?'],
    [
      'key [start end [BYTE|BIT]]',
      'key:key block(start:integer end:integer oneof(BYTE=byte:pure-token BIT=bit:pure-token)?)?',
    ],
    ['[ID client-id [client-id ...]]', 'ID=client-id:integer?+'],
    ['[AUTH username password]', 'AUTH=block(username:string password:string)?'],
    ['[TYPE <A|B>] [GET]', 'TYPE=oneof(A=a:pure-token B=b:pure-token)? GET=get:pure-token?'],
    ['<ip:port|ID client-id ...>', 'oneof(ip:port:string ID=client-id:integer)+'],
    ['key [GET encoding offset ...]', 'key:key GET=block(encoding:string offset:integer)?+'],
  ])('%s', (syntax, expected) => {
    expect(tree(syntax)).toBe(expected)
  })

  it.each([
    ['incrby', 'integer'],
    ['incrbyfloat', 'double'],
  ])('knows what kind of number %s takes', (name, type) => {
    expect(commandArguments('key increment', name)[1]).toMatchObject({ name: 'increment', type })
  })

  it('understands every line of the documents', () => {
    for (const spec of COMMANDS_BY_NAME.values()) {
      const words = commandArguments(spec.doc.syntax)
      const least = words.filter(({ optional }) => !optional).length
      const bound = spec.arity > 0 ? spec.arity : -spec.arity
      // A container counts for two words; a `oneof` or a block may be more than one.
      expect(1 + least, spec.name).toBeLessThanOrEqual(bound)
    }
  })
})
