// The README's blocks, word for word, as a new user would type them: `npm start` in one terminal, a shell in another. Only the ports are others
// (7379, 7389 ... become the test's own), and PID is a real one.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { finished, freePort } from './support/cluster.ts'
import { HAS_TMUX, Terminal } from './support/terminal.ts'

const README = readFileSync('README.md', 'utf8')
const README_PORT = 7379
const PROMPT = /^(\$|quorate>|127\.0\.0\.1:\d+>) /

interface Step {
  readonly prompt: string
  readonly command: string
  readonly output: readonly string[]
}

/** The blocks of a language, `` for those that show sessions. */
function blocks(language: string): string[] {
  return [...README.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter(([, found]) => found === language)
    .map(([, , text]) => text)
}

function stepsOf(block: string): Step[] {
  const steps: { prompt: string; command: string; output: string[] }[] = []
  for (const line of block.split('\n').filter((text) => text !== '')) {
    const prompt = PROMPT.exec(line)?.[0]
    if (prompt !== undefined) steps.push({ prompt: prompt.trimEnd(), command: line.slice(prompt.length), output: [] })
    else steps.at(-1)?.output.push(line)
  }
  return steps
}

describe.runIf(HAS_TMUX)("the README's first session", () => {
  const directory = mkdtempSync(join(tmpdir(), 'quorate-readme-'))
  let port = 0
  let cluster: Terminal
  let shell: Terminal
  let shellPrompt = '$'
  let pid = ''

  /** With the test's ports in the README's places. */
  function here(text: string): string {
    return text
      .replace(/\b73(\d)9\b/g, (_all, node: string) => String(port + (Number(node) - 7) * 10))
      .replace('PID', pid)
  }

  beforeAll(async () => {
    port = await freePort(3)
    const environment = { QUORATE_HISTORY: join(directory, 'history'), QUORATE_ADDR: `127.0.0.1:${port}` }
    cluster = new Terminal(
      ['npm', 'start', '--', '--port', String(port), '--data', join(directory, 'data')],
      environment,
    )
    shell = new Terminal(['env', 'PS1=$ ', 'bash', '--norc', '--noprofile', '-i'], environment)
    await cluster.sees(/quorate>$/)
    await shell.sees('$')
    pid = /node 1 .* pid (\d+)/.exec(cluster.screen())?.[1] ?? ''
    expect(pid).not.toBe('')
  }, 60_000)

  afterAll(async () => {
    cluster.press('C-u')
    cluster.enter('exit')
    await cluster.sees(/exit code 0$/)
    cluster.close()
    shell.close()
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  })

  async function take(step: Step): Promise<void> {
    const prompt = here(step.prompt)
    const [command, ...output] = [step.command, ...step.output].map(here)
    if (prompt === 'quorate>') {
      cluster.enter(command)
      return cluster.sees([`quorate> ${command}`, ...output, 'quorate>'].join('\n'))
    }
    if (prompt === '$' && shellPrompt !== '$') {
      shell.press('C-d')
      await shell.sees('$')
    }
    shell.enter(command)
    // An interactive redis-cli without a command stays.
    const opened = /^redis-cli -p (\d+)$/.exec(command)
    shellPrompt = opened === null ? prompt : `127.0.0.1:${opened[1]}>`
    await shell.sees([`${prompt} ${command}`, ...output, shellPrompt].join('\n'))
  }

  const steps = blocks('').flatMap(stepsOf)

  test('has something to type for each terminal', () => {
    expect(README).toContain(`redis-cli -p ${README_PORT + 10}`)
    expect(steps.filter(({ prompt }) => prompt === 'quorate>').length).toBeGreaterThan(2)
    expect(steps.filter(({ prompt }) => prompt === '$').length).toBeGreaterThan(3)
  })

  test.each(steps.map((step) => [`${step.prompt} ${step.command}`, step] as const))('%s', (_name, step) => take(step))
})

test('the commands that start and test it are those of the package', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
  const commands = blocks('sh')
    .flatMap((block) => block.split('\n'))
    .flatMap((line) => [...line.replace(/#.*/, '').matchAll(/npm (?:run )?([a-z]+)/g)].map(([, name]) => name))
  expect(commands).toContain('start')
  expect(commands).toContain('test')
  for (const name of commands.filter((command) => command !== 'ci')) expect(Object.keys(scripts)).toContain(name)
})

test('the example of the library runs', async () => {
  const [example] = blocks('js')
  // Inside the package its own name means it.
  const child = spawn(process.execPath, ['--input-type=module', '--eval', example], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { code, stdout, stderr } = await finished(child, 30_000)
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^redis:\/\/127\.0\.0\.1:\d+\n$/)
  expect(code).toBe(0)
})
