// The shape of the source, held by a test: who imports whom, where time and chance may come from, how files look.
// Exceptions stand here with their exact size, as a ratchet: they may shrink, never grow.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cruise, type ICruiseResult, type IFlattenedRuleSet } from 'dependency-cruiser'
import ts from 'typescript'
import { expect, test } from 'vitest'
import { VERSION } from '../src/base/version.ts'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const MAX_FILE_LINES = 500
const MAX_FUNCTION_LINES = 70

/** Files above the limit, with the length that they have now. Empty is the aim. */
const LONG_FILES: Readonly<Record<string, number>> = {}

/** `file: function` above the limit, with the length that it has now. Empty is the aim. */
const LONG_FUNCTIONS: Readonly<Record<string, number>> = {}

/** Where a program meets the world: ports on Node, command lines, load generators, worker entry points. */
const MEETS_THE_WORLD = /^src\/(platform|embedding|cli|bench|chaos)\/|^src\/simulation\/(main|worker)[^/]*\.ts$/
const AMBIENT = new Set([
  'Date',
  'performance',
  'process',
  'console',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'Buffer',
  'fetch',
  'crypto',
  'globalThis',
])

interface SourceFile {
  readonly path: string
  readonly text: string
  readonly tree: ts.SourceFile
}

const SOURCES: readonly SourceFile[] = filesBelow(join(ROOT, 'src')).map((path) => {
  const text = readFileSync(path, 'utf8')
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true, ts.ScriptKind.TS)
  return { path: relative(ROOT, path), text, tree }
})
const PROGRAMS = SOURCES.filter(({ path }) => !/\.(test|testkit)\.ts$/.test(path))

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(directory, name))
    .sort()
}

/** `file:line what`, for every node that `find` names. */
function findings(files: readonly SourceFile[], find: (node: ts.Node) => string | null): string[] {
  const found: string[] = []
  for (const { path, tree } of files) {
    const visit = (node: ts.Node): void => {
      const what = find(node)
      if (what !== null) {
        const { line } = tree.getLineAndCharacterOfPosition(node.getStart(tree))
        found.push(`${path}:${line + 1} ${what}`)
      }
      ts.forEachChild(node, visit)
    }
    visit(tree)
  }
  return found
}

function parsed(text: string): SourceFile[] {
  return [{ path: 'sample.ts', text, tree: ts.createSourceFile('sample.ts', text, ts.ScriptTarget.ES2023, true) }]
}

function ambientUse(node: ts.Node): string | null {
  if (!ts.isIdentifier(node)) return null
  const parent = node.parent
  // A member, a property or a declaration of that name is not the global.
  if (ts.isPropertyAccessExpression(parent) && parent.name === node) {
    return node.text === 'random' && parent.expression.getText() === 'Math' ? 'Math.random' : null
  }
  const isName = 'name' in parent && parent.name === node
  return !isName && !ts.isQualifiedName(parent) && AMBIENT.has(node.text) ? node.text : null
}

function unsafeType(node: ts.Node): string | null {
  if (node.kind === ts.SyntaxKind.AnyKeyword) return 'any'
  return ts.isNonNullExpression(node) ? 'non-null !' : null
}

const { forbidden, options } = createRequire(import.meta.url)(join(ROOT, '.dependency-cruiser.cjs')) as {
  forbidden: IFlattenedRuleSet['forbidden']
  options: object
}

/** `rule: from -> to`, sorted. */
async function importViolations(baseDir: string, withTsConfig: boolean): Promise<string[]> {
  const resolved = withTsConfig ? { tsConfig: { fileName: join(ROOT, 'tsconfig.test.json') } } : { tsConfig: undefined }
  const result = await cruise(['src'], { ...options, ...resolved, baseDir, validate: true, ruleSet: { forbidden } })
  const { violations } = (result.output as ICruiseResult).summary
  return violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`).sort()
}

test('imports follow the rooms', async () => {
  expect(SOURCES.length).toBeGreaterThan(20)
  expect(await importViolations(ROOT, true)).toEqual([])
})

test('the import rules catch what they forbid', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-rooms-'))
  const files: Record<string, string> = {
    'src/base/low.ts': "import { net } from '../platform/net.ts'\nexport const low = net",
    'src/platform/net.ts': "import { createServer } from 'node:net'\nexport const net = createServer",
    'src/raft/core.ts':
      "import type { Wal } from '../wal/wal.ts'\nimport { readFileSync } from 'node:fs'\nexport const core: Wal = String(readFileSync)",
    'src/wal/wal.ts': 'export type Wal = string',
    'src/node/node.ts':
      "import { kit } from './node.testkit.ts'\nimport { a } from './circle.ts'\nexport const node = [kit, a]",
    'src/node/node.testkit.ts': 'export const kit = 1',
    'src/node/circle.ts': "import { node } from './node.ts'\nexport const a = () => node",
    'src/simulation/world.ts':
      "import { net } from '../platform/net.ts'\nimport { core } from '../raft/core.ts'\nexport const world = [net, core]",
  }
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(directory, dirname(path)), { recursive: true })
      writeFileSync(join(directory, path), text)
    }
    const rules = (await importViolations(directory, false)).map((line) => line.replace(/ -> (node:)?/, ' -> '))
    for (const expected of [
      'rooms-base: src/base/low.ts -> src/platform/net.ts',
      'platform-for-entry-points: src/base/low.ts -> src/platform/net.ts',
      'rooms-raft: src/raft/core.ts -> src/wal/wal.ts',
      'pure-rooms-are-pure: src/raft/core.ts -> fs',
      'no-test-code-in-programs: src/node/node.ts -> src/node/node.testkit.ts',
      'no-circles: src/node/circle.ts -> src/node/node.ts',
      'simulation-is-deterministic: src/simulation/world.ts -> src/platform/net.ts',
    ]) {
      expect(rules).toContain(expected)
    }
    expect(rules.filter((line) => line.includes('world.ts -> src/raft'))).toEqual([])
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

test('time, chance, timers and the process come through ports', () => {
  const inside = PROGRAMS.filter(({ path }) => !MEETS_THE_WORLD.test(path))
  expect(findings(inside, ambientUse)).toEqual([])
  const sample =
    'const t = Date.now(); setTimeout(f, Math.random()); clock.setTimeout(1); const x = { process: 1 }; x.process'
  expect(findings(parsed(sample), ambientUse)).toEqual([
    'sample.ts:1 Date',
    'sample.ts:1 setTimeout',
    'sample.ts:1 Math.random',
  ])
})

test('no any, no non-null assertion, no silenced check', () => {
  expect(findings(SOURCES, unsafeType)).toEqual([])
  expect(findings(parsed('f(a!, b as any)'), unsafeType)).toEqual(['sample.ts:1 non-null !', 'sample.ts:1 any'])
  const silenced = SOURCES.filter(({ text }) => /@ts-(ignore|expect-error|nocheck)|biome-ignore/.test(text))
  expect(silenced.map(({ path }) => path)).toEqual([])
})

test('every file opens with a comment that says what lives there', () => {
  const mute = PROGRAMS.filter(({ text }) => !/^(#![^\n]*\n)?\s*\/[/*]/.test(text))
  expect(mute.map(({ path }) => path)).toEqual([])
})

test('no test is skipped, focused or left for later; nothing is left to do', () => {
  const focused = /\b(?:test|it|describe)\.(?:only|todo|skip)\b/
  const files = [
    ...SOURCES.map(({ path }) => path),
    ...filesBelow(join(ROOT, 'test')).map((path) => relative(ROOT, path)),
  ]
  const found = files.filter((path) => {
    const text = readFileSync(join(ROOT, path), 'utf8')
    return focused.test(text) || /\b(?:TO\x44O|FIX\x4dE|X\x58X)\b/.test(text)
  })
  expect(found).toEqual([])
})

test(`files stay below ${MAX_FILE_LINES} lines`, () => {
  const long = PROGRAMS.map(({ path, text }) => [path, text.split('\n').length - 1] as const).filter(
    ([, lines]) => lines > MAX_FILE_LINES,
  )
  expectRatchet(long, LONG_FILES)
})

test(`functions stay below ${MAX_FUNCTION_LINES} lines`, () => {
  const long: (readonly [string, number])[] = []
  for (const { path, tree } of PROGRAMS) {
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
        const first = tree.getLineAndCharacterOfPosition(node.getStart(tree)).line
        const lines = tree.getLineAndCharacterOfPosition(node.getEnd()).line - first + 1
        const name = node.name?.getText(tree) ?? 'anonymous'
        if (lines > MAX_FUNCTION_LINES) long.push([`${path}: ${name}`, lines])
      }
      ts.forEachChild(node, visit)
    }
    visit(tree)
  }
  expectRatchet(long, LONG_FUNCTIONS)
})

/** What is over the limit is exactly what the table allows, and no longer than it says; entries that are no longer needed go. */
function expectRatchet(found: readonly (readonly [string, number])[], allowed: Readonly<Record<string, number>>): void {
  const grown = found
    .filter(([name, lines]) => lines > (allowed[name] ?? 0))
    .map(([name, lines]) => `${name}: ${lines}`)
  expect(grown, 'over the limit, or longer than allowed: split it').toEqual([])
  const gone = Object.keys(allowed).filter((name) => !found.some(([other]) => other === name))
  expect(gone, 'short enough now: take it out of the table').toEqual([])
}

test('the version is the same everywhere', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  expect(VERSION).toBe(version)
  expect(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8')).toContain(`## ${version}`)
})

test('the documents name only files that exist', () => {
  const documents = ['README.md', 'CHANGELOG.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)]
  const gone: string[] = []
  for (const document of documents.filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(join(ROOT, document), 'utf8')
    for (const [, path] of text.matchAll(/`((?:src|test|scripts|docs)\/[\w./-]+\.\w+)`/g)) {
      if (!existsSync(join(ROOT, path))) gone.push(`${document}: ${path}`)
    }
    for (const [, link] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      if (!existsSync(join(ROOT, dirname(document), link))) gone.push(`${document}: ${link}`)
    }
  }
  expect(gone).toEqual([])
})
