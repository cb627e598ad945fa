/**
 * Who may import whom. Imports point one way:
 *
 *   base <- protocol <- ports <- {raft wal store kv transport metadata/tree} <- {replication metadata/embedded migration master} <- node <- server <- embedding <- {cli, index.ts}
 *
 * Rooms of one layer never import each other. platform/ and simulation/ implement ports and see everything below the
 * entry points; only entry points (embedding, cli, client/index.ts, bench, chaos, simulation's main, tests) import them.
 *
 * client/ sees base, protocol and ports; its entry point wires network and clock.
 */
const BELOW_NODE =
  'base protocol ports raft wal store kv transport metadata/tree metadata/embedded replication migration master'.split(
    ' ',
  )
const LAYERS = [
  ['base', []],
  ['protocol', ['base']],
  ['ports', ['base', 'protocol']],
  ['raft', ['base', 'protocol', 'ports']],
  ['wal', ['base', 'protocol', 'ports']],
  ['store', ['base', 'protocol', 'ports']],
  ['kv', ['base', 'protocol', 'ports']],
  ['transport', ['base', 'protocol', 'ports']],
  ['metadata/tree', ['base', 'protocol', 'ports']],
  ['metadata/embedded', ['base', 'protocol', 'ports', 'metadata/tree']],
  ['replication', ['base', 'protocol', 'ports', 'raft', 'wal', 'store', 'kv', 'transport']],
  ['migration', ['base', 'protocol', 'ports']],
  ['master', ['base', 'protocol', 'ports']],
  ['node', BELOW_NODE],
  ['server', [...BELOW_NODE, 'node']],
  ['client', ['base', 'protocol', 'ports']],
]

const PURE_ROOMS = LAYERS.map(([room]) => room)
const TEST_FILES = '\\.(test|testkit)\\.ts$'
const CLIENT_ENTRY = '^src/client/index\\.ts$'

const layerRules = LAYERS.map(([room, below]) => ({
  name: `rooms-${room}`,
  comment: `${room}/ may import ${below.length === 0 ? 'no other room' : below.join(', ')}`,
  severity: 'error',
  from: { path: `^src/${room}/`, pathNot: [TEST_FILES, CLIENT_ENTRY] },
  to: { path: '^src/', pathNot: `^src/(${[room, ...below].join('|')})/` },
}))

module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'rooms-replication-raft-only',
      comment: 'kinds of replication never import each other',
      severity: 'error',
      from: { path: '^src/replication/([^/]+)/', pathNot: TEST_FILES },
      to: { path: '^src/replication/([^/]+)/', pathNot: '^src/replication/$1/' },
    },
    {
      name: 'pure-rooms-are-pure',
      comment: 'no Node module and no package below the entry points: time, disk and network come through ports',
      severity: 'error',
      from: { path: `^src/(${PURE_ROOMS.join('|')})/`, pathNot: [TEST_FILES, CLIENT_ENTRY] },
      to: { dependencyTypes: ['core', 'npm', 'npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'platform-for-entry-points',
      comment: 'only entry points and tests wire the real ports',
      severity: 'error',
      from: { path: '^src/', pathNot: [`^src/(platform|embedding|cli|bench|chaos)/`, CLIENT_ENTRY, TEST_FILES] },
      to: { path: '^src/platform/' },
    },
    {
      name: 'platform-sees-no-entry-point',
      severity: 'error',
      from: { path: '^src/platform/', pathNot: TEST_FILES },
      to: { path: '^src/(embedding|cli|bench|chaos|simulation)/' },
    },
    {
      name: 'client-for-programs',
      comment: 'the client is used by programs; nothing below them needs one',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/(client|cli|bench|chaos)/', TEST_FILES] },
      to: { path: '^src/client/' },
    },
    {
      name: 'client-entry-wires-ports',
      comment: 'network and clock, and never the disk or LMDB',
      severity: 'error',
      from: { path: CLIENT_ENTRY },
      to: { path: '^src/', pathNot: '^src/(client/|base/|ports/|platform/node-(network|clock)\\.ts$)' },
    },
    {
      name: 'embedding-sees-no-program',
      comment: 'the library is what runs inside any process; programs are built on it',
      severity: 'error',
      from: { path: '^src/embedding/', pathNot: TEST_FILES },
      to: { path: '^src/((cli|bench|chaos|simulation)/|index\\.ts$)' },
    },
    {
      name: 'library-is-embedding',
      comment: 'what the package exports is what embedding/ offers',
      severity: 'error',
      from: { path: '^src/index\\.ts$' },
      to: { path: '^src/', pathNot: '^src/embedding/' },
    },
    {
      name: 'simulation-for-tests',
      comment: 'the simulator is imported by tests and by itself',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/simulation/', '^src/chaos/', TEST_FILES] },
      to: { path: '^src/simulation/' },
    },
    {
      name: 'simulation-is-deterministic',
      comment: 'a simulated run imports no real port and no entry point',
      severity: 'error',
      from: { path: '^src/simulation/', pathNot: TEST_FILES },
      to: { path: '^src/(platform|embedding|cli|bench|chaos)/' },
    },
    {
      name: 'no-test-code-in-programs',
      severity: 'error',
      from: { path: '^src/', pathNot: TEST_FILES },
      to: { path: TEST_FILES },
    },
    {
      name: 'no-dev-packages-in-programs',
      comment: 'what is published runs on "dependencies" alone; the bench and its generators are for a clone',
      severity: 'error',
      from: { path: '^src/', pathNot: [TEST_FILES, '^src/(bench|chaos)/'] },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-circles',
      comment: 'types may name each other across two files; code that runs may not',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: { path: '^(src|test)/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.test.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.mjs', '.cjs'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
}
