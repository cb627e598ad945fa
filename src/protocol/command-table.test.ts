import { describe, expect, it } from 'vitest'
import { documentedCommands } from './command-docs.ts'
import { COMMAND_SPECS, COMMANDS_BY_NAME, type CommandSpec } from './command-table.ts'

const ALL: readonly CommandSpec[] = [...COMMANDS_BY_NAME.values()]

describe('command table', () => {
  it('gives each name and each opcode once', () => {
    const names = COMMAND_SPECS.flatMap((spec) => [spec.name, ...spec.subcommands.map((inner) => inner.name)])
    expect(new Set(names).size).toBe(names.length)
    const opcodes = ALL.map((spec) => spec.opcode).filter((opcode) => opcode !== 0)
    expect(new Set(opcodes).size).toBe(opcodes.length)
  })

  it('names subcommands after their containers', () => {
    for (const spec of COMMAND_SPECS) {
      for (const inner of spec.subcommands) expect(inner.name.startsWith(`${spec.name}|`)).toBe(true)
    }
  })

  it('has no words about commands that are not there', () => {
    expect(new Set(documentedCommands())).toEqual(new Set(COMMANDS_BY_NAME.keys()))
  })

  it('says of each command with keys, and of no other, what is done with them', () => {
    for (const spec of ALL) expect([spec.name, spec.keyFlags.length > 0]).toEqual([spec.name, spec.firstKey > 0])
  })

  it.each(ALL.map((spec) => [spec.name, spec.doc] as const))(
    '%s: brackets close, the summary is a sentence',
    (_, doc) => {
      for (const [open, close] of ['[]', '<>']) {
        expect(doc.syntax.split(open).length).toBe(doc.syntax.split(close).length)
      }
      expect(doc.summary).toMatch(/^[A-Z].*\.$/)
    },
  )
})
