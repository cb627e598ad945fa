// Writes docs/commands.md from the command table; with --check it only says whether the file is up to date (exit code 1: it is not).
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { COMMAND_SPECS } from '../dist/protocol/command-table.js'

const FILE = fileURLToPath(new URL('../docs/commands.md', import.meta.url))

const GROUPS = [
  ['string', 'Strings'],
  ['bitmap', 'Bits'],
  ['generic', 'Keys'],
  ['transactions', 'Transactions'],
  ['pubsub', 'Publish and subscribe'],
  ['connection', 'Connections'],
  ['cluster', 'Redis Cluster'],
  ['server', 'The server'],
  ['scripting', 'Functions'],
  ['quorate', "Quorate's own"],
]

const WHERE = {
  door: 'the node that is asked',
  slot: "its key's group",
  fanout: 'every group concerned',
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')

function row(spec) {
  const name = spec.name.replace('|', ' ').toUpperCase()
  return `| \`${name}\` | ${cell(spec.doc.syntax)} | ${cell(spec.doc.summary)} | ${WHERE[spec.scope]} |`
}

function section([group, title]) {
  const specs = COMMAND_SPECS.flatMap((spec) => (spec.subcommands.length > 0 ? spec.subcommands : [spec]))
  const rows = specs.filter((spec) => spec.doc.group === group).sort((a, b) => (a.name < b.name ? -1 : 1))
  return [
    `## ${title}`,
    '',
    '| Command | Arguments | What it does | Runs on |',
    '|---|---|---|---|',
    ...rows.map(row),
    '',
  ].join('\n')
}

const TEXT = `# Commands

Made from the command table (\`src/protocol/command-table.ts\`) by \`node scripts/commands-doc.mjs\`; \`COMMAND DOCS\` and \`quorate cli\`'s
help say the same. Replies and errors are Redis 7.0's, in RESP2 and RESP3. Several keys of one command must lie in one slot (use
\`{hash tags}\`), else \`-CROSSSLOT\`; where the last column says "every group concerned" they may lie anywhere, and the command is atomic
within each slot, not across slots. Commands that are not here answer \`-ERR unknown command\`, as Redis does.

${GROUPS.map(section).join('\n')}`

if (process.argv.includes('--check')) {
  let old = ''
  try {
    old = readFileSync(FILE, 'utf8')
  } catch {}
  if (old !== TEXT) {
    process.stderr.write('docs/commands.md is not up to date: node scripts/commands-doc.mjs\n')
    process.exitCode = 1
  }
} else {
  writeFileSync(FILE, TEXT)
}
