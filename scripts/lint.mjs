// npm run lint [-- NAME...]: every check that needs no running code. Each check also works alone: npm run lint -- biome
import { pathToFileURL } from 'node:url'
import { run } from './run.mjs'

/** Pure rooms see no Node types: types.pure. What runs on Node: types.node. Tests and scripts with them: types.test. */
export const CHECKS = [
  ['types.pure', 'tsc', ['-p', 'tsconfig.pure.json', '--noEmit']],
  ['types.node', 'node', ['scripts/build.mjs']],
  ['types.test', 'tsc', ['-p', 'tsconfig.test.json', '--noEmit']],
  ['biome', 'biome', ['ci', '--error-on-warnings', '.']],
  ['rooms', 'depcruise', ['--config', '.dependency-cruiser.cjs', '--output-type', 'err-long', 'src', 'test']],
  ['knip', 'knip', ['--no-progress']],
  ['package', 'publint', ['--strict', '--pack', 'npm']],
  ['commands.md', 'node', ['scripts/commands-doc.mjs', '--check']],
]

/** Runs one check; true where it passed. */
export function check([name, command, args]) {
  const startedMs = Date.now()
  const { code } = run(command, args)
  process.stdout.write(
    `${code === 0 ? 'ok  ' : 'FAIL'} lint ${name} (${((Date.now() - startedMs) / 1000).toFixed(1)} s)\n`,
  )
  return code === 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const wanted = process.argv.slice(2)
  const unknown = wanted.filter((name) => !CHECKS.some(([known]) => known === name))
  if (unknown.length > 0) {
    process.stderr.write(`no check ${unknown.join(', ')}; there are: ${CHECKS.map(([name]) => name).join(', ')}\n`)
    process.exit(2)
  }
  const failed = CHECKS.filter(([name]) => wanted.length === 0 || wanted.includes(name)).filter((one) => !check(one))
  process.exit(failed.length === 0 ? 0 : 1)
}
