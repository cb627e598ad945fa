// `quorate cli` as a user meets it: one command, lines from a pipe, and the prompt in a real terminal.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, eventually, finished, freePort, MAIN, quorate, startCluster } from './support/cluster.ts'
import { HAS_TMUX, Terminal } from './support/terminal.ts'

const DIRECTORY = mkdtempSync(join(tmpdir(), 'quorate-cli-'))
let cluster: Cluster

beforeAll(async () => {
  cluster = await startCluster({ data: join(DIRECTORY, 'data') })
}, 60_000)

afterAll(async () => {
  await cluster.destroy()
  rmSync(DIRECTORY, { recursive: true, force: true })
})

interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The bytes of stdout, one character each. */
async function cli(args: readonly string[], input: string | Buffer = ''): Promise<Run> {
  const child = spawn(process.execPath, [MAIN, 'cli', '--addr', cluster.address(1), ...args], { stdio: 'pipe' })
  child.stdout.setEncoding('latin1')
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  return finished(child, 30_000)
}

const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

describe('one command', () => {
  test('raw replies to a pipe, errors to stderr, an exit code', async () => {
    expect(await cli(['SET', 'one', 'größer', 'EX', '100'])).toMatchObject({ code: 0, stdout: 'OK\n', stderr: '' })
    expect(await cli(['GET', 'one'])).toMatchObject({ code: 0, stdout: bytes('größer\n') })
    expect(await cli(['GET', 'absent'])).toMatchObject({ code: 0, stdout: '\n' })
    expect(await cli(['MGET', 'one', 'absent', 'one'])).toMatchObject({ stdout: bytes('größer\n\ngrößer\n') })
    expect(await cli(['SET', 'empty', ''])).toMatchObject({ code: 0, stdout: 'OK\n' })
    expect(await cli(['STRLEN', 'empty'])).toMatchObject({ stdout: '0\n' })
    expect(await cli(['put', 'two', '2'])).toMatchObject({ code: 0, stdout: 'OK\n' })
    expect(await cli(['delete', 'two'])).toMatchObject({ stdout: '1\n' })
    expect(await cli(['INCR', 'one'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'quorate: ERR value is not an integer or out of range\n',
    })
  })

  test('what follows its name is its own, also where it looks like an option', async () => {
    const { code, stderr } = await cli(['NONSENSE', '--json', '--help', '--addr', '-x'])
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^quorate: ERR unknown command 'NONSENSE', with args beginning with: '--json' '--help' '--addr' '-x'/,
    )
    expect(await cli(['ECHO', '--'])).toMatchObject({ code: 0, stdout: '--\n' })
    expect(await cli(['--', 'ECHO', '-h'])).toMatchObject({ code: 0, stdout: '-h\n' })
  })

  test('bytes that are no text, as an argument and from standard input', async () => {
    // A shell, because Node gives a child no such arguments.
    const script = `'${process.execPath}' '${MAIN}' cli --addr ${cluster.address(1)} SET raw "$(printf '\\377\\001\\376')"`
    expect(await finished(spawn('sh', ['-c', script], { stdio: 'pipe' }), 30_000)).toMatchObject({ code: 0 })
    expect(await cli(['GET', 'raw'])).toMatchObject({ stdout: '\xff\x01\xfe\n' })
    const blob = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7) % 256))
    expect(await cli(['--stdin', 'SET', 'blob'], blob)).toMatchObject({ code: 0, stdout: 'OK\n' })
    expect((await cli(['GET', 'blob'])).stdout).toBe(`${blob.toString('latin1')}\n`)
  })

  test('--json: one line, exact', async () => {
    await cli(['MSET', '{j}text', 'a\n"b"', '{j}number', '9007199254740993'])
    await cli(['--stdin', 'SET', '{j}bytes'], Buffer.of(255, 0))
    const replies: [args: string[], code: number, line: string][] = [
      [['MGET', '{j}text', '{j}absent', '{j}bytes'], 0, '["a\\n\\"b\\"",null,{"base64":"/wA="}]'],
      [['INCR', '{j}number'], 0, '9007199254740994'],
      [['cas', '{j}text', 'x', 'y'], 0, '[0,"a\\n\\"b\\""]'],
      [['CONFIG', 'GET', 'maxmemory'], 0, '{"maxmemory":"0"}'],
      [['MSETNX', '{a}1', '1', '{b}2', '2'], 1, ''],
    ]
    for (const [args, code, line] of replies) {
      const run = await cli(['--json', ...args])
      expect([args, run.code, run.stderr]).toEqual([args, code, ''])
      if (line !== '') expect(run.stdout).toBe(`${line}\n`)
      else expect(JSON.parse(run.stdout)).toMatchObject({ error: { code: 'CROSSSLOT', mend: expect.any(String) } })
    }
  })

  test('nothing listens: the address, the cause, the mend; the next address is tried', async () => {
    const port = await freePort(1)
    const nobody = `127.0.0.1:${port}`
    const run = await quorate(['cli', '--addr', nobody, '--json', 'GET', 'one'])
    expect(run.code).toBe(2)
    expect(run.stderr).toBe(
      `quorate: no node answers at ${nobody}: nothing listens there (ECONNREFUSED); start a cluster with \`npm start\` or ` +
        '`quorate dev`, or name a node with --addr HOST:PORT\n',
    )
    expect(JSON.parse(run.stdout)).toMatchObject({ error: { code: 'no-node', mend: expect.any(String) } })
    const both = await quorate(['cli', '--addr', `${nobody},${cluster.address(2)}`, 'ECHO', 'hi'])
    expect(both).toMatchObject({ code: 0, stdout: 'hi\n', stderr: '' })
    expect(await quorate(['cli', '--addr', 'a b', 'PING'])).toMatchObject({ code: 2 })
    expect(await quorate(['cli', 'put', 'a'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('put KEY VALUE'),
    })
    expect(await quorate(['cli', '--nonsense'])).toMatchObject({ code: 2 })
  })

  test('help needs no cluster', async () => {
    expect((await quorate(['cli', '--help'])).stdout).toContain('quorate cli --stdin SET picture < picture.png')
    const help = await quorate(['cli', 'help', 'setrange'])
    expect(help).toMatchObject({ code: 0, stdout: expect.stringMatching(/^SETRANGE key offset value\n/) })
    expect(await quorate(['cli', 'help', 'nonsense'])).toMatchObject({ code: 2 })
  })

  test('messages until Ctrl-C', async () => {
    const args = [MAIN, 'cli', '--json', '--addr', cluster.address(1), 'SUBSCRIBE', 'news']
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const end = finished(child, 30_000)
    let seen = ''
    child.stdout.on('data', (chunk) => {
      seen += chunk
    })
    await eventually('the subscription', 10_000, () => seen === '["subscribe","news",1]\n')
    expect(await cli(['PUBLISH', 'news', 'hi'])).toMatchObject({ stdout: '1\n' })
    await eventually('the message', 10_000, () => seen.endsWith('["message","news","hi"]\n'))
    child.kill('SIGINT')
    expect(await end).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('lines from a pipe', () => {
  test('each is a command; one that fails is named and does not stop the others', async () => {
    const run = await cli([], Buffer.from('SET p \xff\xfe\r\n\nGET p\nSET "p\nINCR p\nput p 7\nINCR p', 'latin1'))
    expect(run.code).toBe(1)
    expect(run.stdout).toBe('OK\n\xff\xfe\nOK\n8\n')
    expect(run.stderr).toBe(
      'quorate: line 4: a quote is not closed; write a line end inside "..." as \\n\n' +
        'quorate: line 5: ERR value is not an integer or out of range\n',
    )
    expect(await cli([], 'MULTI\nSET p 1\nEXEC\n')).toMatchObject({ code: 0, stdout: 'OK\nQUEUED\nOK\n' })
    expect(await cli(['--json'], 'GET p\nGET absent\n')).toMatchObject({ code: 0, stdout: '"1"\nnull\n' })
    expect(await cli([], '')).toMatchObject({ code: 0, stdout: '' })
  })

  test('a node that is killed meanwhile: said, and the next line is asked elsewhere', async () => {
    const victim = 3
    const addresses = [3, 1, 2].map((id) => cluster.address(id)).join(',')
    const child = spawn(process.execPath, [MAIN, 'cli', '--addr', addresses], { stdio: 'pipe' })
    const end = finished(child, 40_000)
    let seen = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        seen += chunk
      })
    }
    child.stdin.write('ECHO before\n')
    await eventually('the first answer', 10_000, () => seen === 'before\n')
    try {
      await cluster.kill(victim)
      // A line that is sent before the loss is known is answered with an unknown outcome, not sent again.
      await eventually('the notice', 10_000, () => seen.includes('was lost'))
      child.stdin.end('ECHO after\n')
      expect(await end).toMatchObject({ code: 0, stdout: 'before\nafter\n' })
      expect((await end).stderr).toContain(`quorate: the connection to ${cluster.address(victim)} was lost: `)
      expect((await end).stderr).toContain(`quorate: connected to ${cluster.address(1)}, instead of`)
    } finally {
      await cluster.restart(victim)
    }
  })
})

test('a leader that is killed meanwhile costs commands of one slot nothing', async () => {
  const key = 'piped-through-a-kill'
  const victim = await cluster.leader(cluster.groupOf(key))
  const addresses = [1, 2, 3].filter((id) => id !== victim).map((id) => cluster.address(id))
  const child = spawn(process.execPath, [MAIN, 'cli', '--addr', addresses.join(',')], { stdio: 'pipe' })
  const end = finished(child, 40_000)
  let answers = ''
  child.stdout.on('data', (chunk) => {
    answers += chunk
  })
  const lines = (count: number): string => `INCR ${key}\n`.repeat(count)
  child.stdin.write(lines(50))
  await eventually('the first answers', 10_000, () => answers.startsWith('1\n2\n'))
  try {
    child.stdin.end(lines(150))
    await cluster.kill(victim)
    const { code, stdout, stderr } = await end
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toBe(Array.from({ length: 200 }, (_, i) => `${i + 1}\n`).join(''))
  } finally {
    await cluster.restart(victim)
  }
})

describe.skipIf(!HAS_TMUX)('in a terminal', () => {
  const terminals: Terminal[] = []
  const history = join(DIRECTORY, 'history')

  function open(addresses: readonly string[], ...args: string[]): Terminal {
    const command = [process.execPath, MAIN, 'cli', '--addr', addresses.join(','), ...args]
    const terminal = new Terminal(command, { QUORATE_HISTORY: history })
    terminals.push(terminal)
    return terminal
  }

  afterEach(() => {
    for (const terminal of terminals.splice(0)) terminal.close()
  })

  test('completion, hints, colours, help', async () => {
    const terminal = open([cluster.address(1)])
    const prompt = `${cluster.address(1)}>`
    await terminal.sees(prompt)
    terminal.type('setr')
    terminal.press('Tab')
    await terminal.sees(`${prompt} setrange key offset value`)
    // What is typed is plain, what may follow is dim.
    await terminal.showsWithEscapes('> setrange \u001b[2mkey offset value')
    terminal.type('t 0')
    await terminal.sees(`${prompt} setrange t 0 value`)
    terminal.enter(' hello')
    await terminal.sees(`${prompt} setrange t 0 hello\n(integer) 5\n${prompt}`)
    await terminal.showsWithEscapes('\u001b[36m(integer)\u001b[39m 5')
    terminal.enter('incr t')
    await terminal.showsWithEscapes('\u001b[31m(error) ERR value is not an integer')
    terminal.enter('get nothing')
    await terminal.showsWithEscapes('\u001b[2m(nil)')
    terminal.type('SET t v p')
    terminal.press('Tab')
    await terminal.sees(/> SET t v px milliseconds \[NX/)
    terminal.press('Tab')
    await terminal.sees(/\npx +pxat\n.*> SET t v px milliseconds /)
    terminal.press('C-c')
    terminal.enter('help kv.cas')
    await terminal.sees(/\nKV\.CAS key expected new\n {2}Set a key if it holds the expected string/)
    terminal.press('C-d')
    await terminal.sees('exit code 0')
  })

  test('the history of one session is there in the next', async () => {
    const first = open([cluster.address(1)])
    await first.sees('>')
    for (const line of ['put kept yes', 'AUTH secret-word', 'get kept']) {
      first.enter(line)
      await first.sees(new RegExp(`> ${line}\n[\\s\\S]*>$`))
    }
    first.enter('exit')
    await first.sees('exit code 0')
    const kept = readFileSync(history, 'utf8')
    expect(kept).toContain('put kept yes\nget kept\n')
    expect(kept).not.toContain('secret-word')
    expect(statSync(history).mode & 0o777).toBe(0o600)
    const second = open([cluster.address(2)])
    const prompt = `${cluster.address(2)}>`
    await second.sees(prompt)
    second.press('Up', 'Up')
    await second.sees(`${prompt} get kept`)
    second.press('Enter')
    await second.sees(`${prompt} get kept\n"yes"\n${prompt}`)
  })

  test('Ctrl-C clears a line, stops what takes long, and leaves an empty line', async () => {
    const terminal = open([cluster.address(1)])
    const prompt = `${cluster.address(1)}>`
    await terminal.sees(prompt)
    terminal.type('put x "never')
    await terminal.sees(`${prompt} put x "never`)
    terminal.press('C-c')
    await terminal.sees(`${prompt} put x "never^C\n${prompt}`)
    terminal.enter('client pause 600000 write')
    await terminal.sees(`OK\n${prompt}`)
    // On this node, which a command of one slot need not ask.
    terminal.enter('publish news 1')
    await terminal.sees(`${prompt} publish news 1`)
    terminal.press('C-c')
    await terminal.sees(/\(error\) stopped waiting.*\n127\.0\.0\.1:\d+>$/)
    terminal.enter('get x')
    await terminal.sees(`${prompt} get x\n(nil)\n${prompt}`)
    terminal.enter('client unpause')
    await terminal.sees(`OK\n${prompt}`)
    terminal.press('C-c')
    await terminal.sees('exit code 0')
  })

  test('what is pasted runs in order, also with line ends and tabs in values', async () => {
    const terminal = open([cluster.address(1)])
    const prompt = `${cluster.address(1)}>`
    await terminal.sees(prompt)
    terminal.paste('put a 1\nput b "two\n\tlines"\nget b\nmulti\nincr \\\na\nexec\n')
    await terminal.sees(
      [
        `${prompt} put a 1`,
        'stored',
        `${prompt} put b "two`,
        '...     lines"',
        'stored',
        `${prompt} get b`,
        '"two\\n\\tlines"',
        `${prompt} multi`,
        'OK',
        `${cluster.address(1)}(TX)> incr \\`,
        '... a',
        'QUEUED',
        `${cluster.address(1)}(TX)> exec`,
        '1) (integer) 2',
        prompt,
      ].join('\n'),
    )
  })

  test('nothing listens: said at once', async () => {
    const port = await freePort(1)
    const terminal = open([`127.0.0.1:${port}`])
    await terminal.sees('not connected>')
    expect(terminal.screen().replaceAll('\n', '')).toContain(
      `(error) no node answers at 127.0.0.1:${port}: nothing listens there (ECONNREFUSED); start a cluster with`,
    )
  })

  test('the node is killed: a notice, and the next command is answered by another', async () => {
    const terminal = open([2, 1, 3].map((id) => cluster.address(id)))
    await terminal.sees(`${cluster.address(2)}>`)
    terminal.enter('put survivor yes')
    await terminal.sees(`stored\n${cluster.address(2)}>`)
    terminal.type('get surv')
    await terminal.sees(`${cluster.address(2)}> get surv`)
    await cluster.kill(2)
    await terminal.sees(
      new RegExp(
        `-- the connection to ${cluster.address(2)} was lost: .*\n` +
          `-- connected to ${cluster.address(1)}, instead of ${cluster.address(2)}\n${cluster.address(1)}> get surv$`,
      ),
    )
    terminal.enter('ivor')
    await terminal.sees(`${cluster.address(1)}> get survivor\n"yes"\n${cluster.address(1)}>`)
  })
})
