/** The words behind `quorate admin`: which call they are, with which arguments. `--addr` and `--json` may stand anywhere; nothing is asked of a cluster here. */
import { fail, type Outcome, succeed } from '../../platform/failure.ts'

/** What `--wait` waits for. */
export type WaitKind = 'moves' | 'balance' | 'drained' | 'members' | null

export interface AdminTask {
  /** As people write it, `group create`. */
  readonly command: string
  /** Of KV.MASTER. */
  readonly call: string
  readonly args: Readonly<Record<string, unknown>>
  readonly wait: WaitKind
  readonly watch: boolean
  readonly json: boolean
  /** As it was given; null: it was not. */
  readonly addr: string | null
}

type FieldKind = 'number' | 'text' | 'numbers'

interface AdminSpec {
  readonly call: string
  /** Positional words, in order: all are needed. */
  readonly words?: readonly (readonly [field: string, kind: FieldKind])[]
  /** The last positional word may be left out. */
  readonly lastIsOptional?: boolean
  readonly options?: Readonly<Record<string, readonly [field: string, kind: FieldKind | 'flag']>>
  /** Options without which it makes no sense, with the names of their values. */
  readonly needs?: readonly string[]
  /** Of these just one: options, or the first positional word (as the usage names it). */
  readonly oneOf?: readonly string[]
  /** What is sent besides. */
  readonly fixed?: Readonly<Record<string, unknown>>
  readonly wait?: WaitKind
  readonly watch?: boolean
  readonly usage: string
}

const GROUP: Readonly<Record<string, readonly [string, FieldKind | 'flag']>> = {
  '--group': ['group', 'number'],
  '--masters': ['masters', 'flag'],
}
const GROUP_CHOICE: readonly string[] = ['--group GROUP', '--masters']

export const ADMIN_COMMANDS: ReadonlyMap<string, AdminSpec> = new Map<string, AdminSpec>([
  ['status', { call: 'status', watch: true, usage: 'status [--watch]' }],
  ['nodes', { call: 'nodes', watch: true, usage: 'nodes [--watch]' }],
  ['groups', { call: 'groups', watch: true, usage: 'groups [--watch]' }],
  ['slots', { call: 'slots', usage: 'slots' }],
  ['reconfigs', { call: 'reconfigs', usage: 'reconfigs' }],
  ['migrations', { call: 'migrations', watch: true, usage: 'migrations [--watch]' }],
  ['reconfig', { call: 'reconfig', words: [['reconfig', 'number']], usage: 'reconfig ID' }],
  ['key-group', { call: 'key-group', words: [['key', 'text']], usage: 'key-group KEY' }],
  ['digest', { call: 'digest', words: [['group', 'number']], lastIsOptional: true, usage: 'digest [GROUP]' }],
  ['token', { call: 'token', usage: 'token' }],
  [
    'move',
    {
      call: 'move',
      words: [['ranges', 'text']],
      lastIsOptional: true,
      options: { '--key': ['key', 'text'], '--to': ['to', 'number'] },
      needs: ['--to GROUP'],
      oneOf: ['FIRST-LAST,...', '--key KEY'],
      wait: 'moves',
      usage: 'move FIRST-LAST,...|--key KEY --to GROUP [--wait]',
    },
  ],
  [
    'rebalance',
    {
      call: 'rebalance',
      options: { '--dry-run': ['dryRun', 'flag'] },
      wait: 'balance',
      usage: 'rebalance [--dry-run] [--wait]',
    },
  ],
  [
    'group create',
    {
      call: 'group-create',
      options: { '--weight': ['weight', 'number'], '--nodes': ['nodes', 'numbers'], '--anyway': ['anyway', 'flag'] },
      needs: ['--weight WEIGHT'],
      wait: 'balance',
      usage: 'group create --weight WEIGHT [--nodes 1,2,3] [--anyway] [--wait]',
    },
  ],
  [
    'group weight',
    {
      call: 'group-weight',
      words: [
        ['group', 'number'],
        ['weight', 'number'],
      ],
      wait: 'balance',
      usage: 'group weight GROUP WEIGHT [--wait]',
    },
  ],
  [
    'group drain',
    { call: 'group-drain', words: [['group', 'number']], wait: 'drained', usage: 'group drain GROUP [--wait]' },
  ],
  [
    'group undrain',
    {
      call: 'group-drain',
      words: [['group', 'number']],
      fixed: { draining: false },
      wait: 'balance',
      usage: 'group undrain GROUP [--wait]',
    },
  ],
  ['group remove', { call: 'group-remove', words: [['group', 'number']], usage: 'group remove GROUP' }],
  [
    'join',
    {
      call: 'join',
      words: [['node', 'number']],
      options: GROUP,
      wait: 'members',
      oneOf: GROUP_CHOICE,
      usage: 'join NODE --group GROUP|--masters [--wait]',
    },
  ],
  [
    'leave',
    {
      call: 'leave',
      words: [['node', 'number']],
      options: GROUP,
      wait: 'members',
      oneOf: GROUP_CHOICE,
      usage: 'leave NODE --group GROUP|--masters [--wait]',
    },
  ],
  [
    'replace',
    {
      call: 'replace',
      words: [
        ['old', 'number'],
        ['new', 'number'],
      ],
      wait: 'members',
      usage: 'replace OLD NEW [--wait]',
    },
  ],
  [
    'transfer',
    {
      call: 'transfer',
      words: [
        ['group', 'number'],
        ['node', 'number'],
      ],
      usage: 'transfer GROUP NODE',
    },
  ],
  ['cancel', { call: 'cancel', words: [['reconfig', 'number']], usage: 'cancel RECONFIG' }],
  ['remove-node', { call: 'remove-node', words: [['node', 'number']], usage: 'remove-node NODE' }],
  ['repair', { call: 'repair', usage: 'repair (not built yet)' }],
  [
    'recover-masters',
    {
      call: 'recover-masters',
      options: { '--yes': ['yes', 'flag'], '--lost': ['lost', 'numbers'] },
      usage: 'recover-masters [--yes] [--lost GROUP,...]',
    },
  ],
  ['rolling-restart', { call: 'rolling-restart', usage: 'rolling-restart (not built yet)' }],
])

export const ADMIN_HELP = `\nCommands:\n${[...ADMIN_COMMANDS.values()].map(({ usage }) => `  ${usage}`).join('\n')}

--watch shows it anew each second until Ctrl-C; --wait returns when what was asked for has come true, with exit code 1 if it failed.`

/** Help goes before everything else on the line. */
export function wantsHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--')
  return words.slice(0, end < 0 ? words.length : end).some((word) => word === '--help' || word === '-h')
}

/** `--json` may be wanted also where the rest makes no sense. */
export function wantsJson(words: readonly string[]): boolean {
  return words.includes('--json')
}

export function parseAdminWords(words: readonly string[]): Outcome<AdminTask> {
  const scan = scanWords(words)
  if (!scan.ok) return scan
  const { plain, options } = scan.value
  const isTwoWords = plain[0] === 'group'
  const command = plain.slice(0, isTwoWords ? 2 : 1).join(' ')
  const spec = ADMIN_COMMANDS.get(command)
  if (spec === undefined) {
    const names = [...ADMIN_COMMANDS.keys()].join(', ')
    return usage(command === '' ? 'no command is given' : `there is no command '${command}'`, `give one of ${names}`)
  }
  const args: Record<string, unknown> = { ...spec.fixed }
  const positional = plain.slice(isTwoWords ? 2 : 1)
  const misfit =
    readPositional(spec, positional, args) ??
    readOptions(spec, options, args) ??
    combinationMisfit(spec, positional, options)
  if (misfit !== null) return usage(`admin ${command}: ${misfit}`, `write quorate admin ${spec.usage}`)
  const wantsWait = options.has('--wait') && args.dryRun !== true
  return succeed({
    command,
    call: spec.call,
    args,
    wait: wantsWait ? (spec.wait ?? null) : null,
    watch: options.has('--watch'),
    json: options.has('--json'),
    addr: options.get('--addr') ?? null,
  })
}

function usage(message: string, mend: string): ReturnType<typeof fail> {
  return fail('usage', message, mend)
}

const ALL_OPTIONS = [...ADMIN_COMMANDS.values()].flatMap(({ options = {} }) => Object.entries(options))
const FLAGS: ReadonlySet<string> = new Set([
  ...['--json', '--wait', '--watch'],
  ...ALL_OPTIONS.filter(([, [, kind]]) => kind === 'flag').map(([name]) => name),
])
const KNOWN: ReadonlySet<string> = new Set([...FLAGS, '--addr', ...ALL_OPTIONS.map(([name]) => name)])

interface Scanned {
  readonly plain: readonly string[]
  readonly options: ReadonlyMap<string, string>
}

function scanWords(words: readonly string[]): Outcome<Scanned> {
  const plain: string[] = []
  const options = new Map<string, string>()
  for (let i = 0; i < words.length; i++) {
    const word = words[i]
    if (word === '--') {
      plain.push(...words.slice(i + 1))
      break
    }
    if (!word.startsWith('--')) {
      plain.push(word)
      continue
    }
    const equals = word.indexOf('=')
    const name = equals < 0 ? word : word.slice(0, equals)
    if (!KNOWN.has(name)) return usage(`there is no option ${name}`, 'quorate admin --help tells which there are')
    if (options.has(name)) return usage(`${name} is given twice`, 'give it once')
    if (FLAGS.has(name)) {
      if (equals >= 0) return usage(`${name} takes no value`, `write ${name} alone`)
      options.set(name, '')
    } else if (equals >= 0) options.set(name, word.slice(equals + 1))
    // A value that begins with -- is written --name=VALUE.
    else if (i + 1 < words.length && !words[i + 1].startsWith('--')) options.set(name, words[++i])
    else return usage(`${name} lacks its value`, `write ${name} VALUE`)
  }
  return succeed({ plain, options })
}

/** What is wrong, or null. */
function readPositional(spec: AdminSpec, given: readonly string[], args: Record<string, unknown>): string | null {
  const wanted = spec.words ?? []
  const least = wanted.length - (spec.lastIsOptional === true ? 1 : 0)
  if (given.length < least) return `${wanted[given.length][0].toUpperCase()} is missing`
  if (given.length > wanted.length) return `'${given[wanted.length]}' is too much`
  for (let i = 0; i < given.length; i++) {
    const [field, kind] = wanted[i]
    const value = wordValue(given[i], kind)
    if (value === null) return `${field} '${given[i]}' is no whole number`
    args[field] = value
  }
  return null
}

function readOptions(
  spec: AdminSpec,
  options: ReadonlyMap<string, string>,
  args: Record<string, unknown>,
): string | null {
  for (const [name, text] of options) {
    if (name === '--json' || name === '--addr') continue
    if (name === '--wait' && spec.wait !== undefined) continue
    if (name === '--watch' && spec.watch === true) continue
    const option = spec.options?.[name]
    if (option === undefined) return `there is no ${name} here`
    const [field, kind] = option
    const value = kind === 'flag' ? true : wordValue(text, kind)
    if (value === null) return `${name} '${text}' is no whole number${kind === 'numbers' ? ', or list of them' : ''}`
    args[field] = value
  }
  return null
}

function combinationMisfit(
  { needs = [], oneOf = [] }: AdminSpec,
  positional: readonly string[],
  options: ReadonlyMap<string, string>,
): string | null {
  const isGiven = (what: string): boolean => {
    return what.startsWith('--') ? options.has(what.split(' ', 1)[0]) : positional.length > 0
  }
  const given = oneOf.filter(isGiven)
  if (given.length > 1) return `${given.join(' and ')} contradict each other`
  if (oneOf.length > 0 && given.length === 0) return `${oneOf.join(' or ')} is missing`
  const missing = needs.find((what) => !isGiven(what))
  return missing === undefined ? null : `${missing} is missing`
}

function wordValue(text: string, kind: FieldKind): unknown {
  if (kind === 'text') return text
  if (kind === 'number') return /^\d{1,10}$/.test(text) ? Number(text) : null
  return /^\d{1,10}(,\d{1,10})*$/.test(text) ? text.split(',').map(Number) : null
}
