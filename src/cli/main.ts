#!/usr/bin/env node
/** The `quorate` command: reads the command line and hands over. Exit codes: 0 good, 1 failed, 2 usage or set-up. */
import { fileURLToPath } from 'node:url'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { VERSION } from '../base/version.ts'
import { type AdminOptions, runAdmin } from './admin/admin-command.ts'
import { ADMIN_HELP, wantsHelp } from './admin/admin-words.ts'
import { BANDWIDTH_FLAG, BANDWIDTH_HELP, bandwidth } from './bandwidth.ts'
import { CLI_HELP, type CliOptions, runCli } from './cli-command.ts'
import { type DevOptions, runDev } from './dev-command.ts'
import { EXIT_FAILED, EXIT_GOOD, EXIT_USAGE, type ExitCode } from './exit.ts'
import { type InitOptions, runInit } from './init-command.ts'
import { type NodeOptions, runMaster, runNode, runWorker, type WorkerOptions } from './node-command.ts'
import { DEFAULT_ADDRESS } from './prompt/cluster-addresses.ts'
import { runVerifyCommand, VERIFY_HELP, type VerifyCommandOptions } from './verify/verify-command.ts'
import { runWalDump } from './wal-command.ts'

function integer(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a whole number is wanted.')
  return Number(text)
}

function buildProgram(end: (code: ExitCode) => void): Command {
  const program = new Command('quorate')
    .description('A distributed, durable, sharded key-value store that every Redis client can talk to.')
    .version(VERSION)
    .exitOverride()
    // What follows the command word of `cli` belongs to that command.
    .enablePositionalOptions()

  clientCommands(program, end)
  clusterCommands(program, end)

  program
    .command('wal')
    .description('look at write-ahead logs')
    .command('dump')
    .description("print the log of a node's data directory as text")
    .argument('<dir>', "the node's data directory")
    .action(async (directory: string) => end(await runWalDump(directory)))

  return program
}

/** For those who use a cluster. */
function clientCommands(program: Command, end: (code: ExitCode) => void): void {
  program
    .command('cli')
    .description('send commands to a cluster: a prompt, one command, or lines from a pipe')
    .usage('[options] [command...]')
    .argument('[command...]', 'one command and its arguments')
    .addOption(
      new Option('--addr <addresses>', 'host:port of a node, or several parted by commas')
        .env('QUORATE_ADDR')
        .default(DEFAULT_ADDRESS),
    )
    .option('--json', 'one line of JSON for each reply')
    .option('--stdin', 'the last argument is what comes from standard input')
    .addHelpText('after', CLI_HELP)
    .passThroughOptions()
    .action(async (words: string[], options: CliOptions) => end(await runCli(words, options)))

  adminCommand(program).action(async (words: string[], options: AdminOptions, command: Command) => {
    // Commander looks for it before the first word only.
    if (wantsHelp(words)) return command.help()
    end(await runAdmin(words, options))
  })

  program
    .command('verify')
    .description('check a running cluster: clients that know what every answer must be')
    .addOption(
      new Option('--addr <addresses>', 'host:port of a node, or several parted by commas')
        .env('QUORATE_ADDR')
        .default(DEFAULT_ADDRESS),
    )
    .option('--minutes <m>', 'how long, fractions too', '1')
    .option('--prefix <prefix>', 'of its keys', 'verify:')
    .option('--clients <n>', 'clients with keys of their own', integer, 16)
    .option('--mode <mode>', 'all, own-keys or contended-cas', 'all')
    .option('--think-ms <ms>', 'pause of each client between two calls, on average', integer, 2)
    .option('--keep', 'leave the keys')
    .option('--json', 'print one line of JSON at the end')
    .addHelpText('after', VERIFY_HELP)
    .action(async (options: VerifyCommandOptions) => end(await runVerifyCommand(options)))
}

/** For those who run one. */
function clusterCommands(program: Command, end: (code: ExitCode) => void): void {
  program
    .command('dev')
    .description('run a whole cluster on this machine: separate processes, durable data')
    .option('--nodes <n>', 'nodes (default: 3, or what the data has)', integer)
    .option('--groups <n>', 'data groups (default: 2)', integer)
    .option('--replicas <n>', 'replicas of each group (default: 3)', integer)
    .option('--slots <n>', 'hash slots, a power of two up to 16384 (default: 1024)', integer)
    .option('--data <dir>', 'where the data lives', './quorate-data')
    .option('--host <host>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <port>', 'first port of the first node; each node takes ten (default: 7379)', integer)
    .option('--metadata <kind>', 'metadata store: embedded', 'embedded')
    .option('--replication <kind>', 'replication: raft', 'raft')
    .option('--zookeeper <addresses>', 'not built yet')
    .option(BANDWIDTH_FLAG, BANDWIDTH_HELP, bandwidth)
    .option('--json', 'print one line of JSON when ready', false)
    .option('--no-repl', 'no prompt, also on a terminal')
    .action(async (options: DevOptions) => end(await runDev(options, fileURLToPath(import.meta.url))))

  program
    .command('init')
    .description('make a cluster of one node, which others join; nothing is started')
    .requiredOption('--data <dir>', "the first node's data directory: empty, or not there yet")
    .option('--port <port>', 'its first port; it takes five (default: 7379)', integer)
    .option('--host <host>', 'where it listens, and how the others reach it (default: 127.0.0.1)')
    .option('--slots <n>', 'hash slots, a power of two up to 16384, for good (default: 1024)', integer)
    .option('--groups <n>', 'data groups on this node (default: 1)', integer)
    .option('--json', 'print one line of JSON: the address to join and the token', false)
    .action(async (options: InitOptions) => end(await runInit(options)))

  nodeCommand(program, 'node', 'run one node of a cluster; in an empty directory: let it join one')
    .option('--roles <roles>', 'of a node that joins: what it is ready for (default: master,worker)')
    .action(async (options: NodeOptions) => end(await runNode(options)))

  nodeCommand(program, 'master', 'the same as `node --roles master`: a node that keeps no data').action(
    async (options: NodeOptions) => end(await runMaster(options)),
  )

  nodeCommand(program, 'worker', 'the same as `node --roles worker`; once, it joins a data group or makes one')
    .option('--group <n>', 'join this data group (default: make a new one, with the next id)', integer)
    .option(
      '--weight <w>',
      "of a new group: its share of the slots, in proportion to the others' (default: 10)",
      integer,
    )
    .option('--mode <mode>', 'of semi-synchronous groups: not built yet')
    .action(async (options: WorkerOptions) => end(await runWorker(options)))
}

function adminCommand(program: Command): Command {
  return program
    .command('admin')
    .description('look at a running cluster, and change it')
    .usage('[options] command...')
    .argument('<command...>', 'see below')
    .addOption(
      new Option('--addr <addresses>', 'host:port of a node, or several parted by commas; also behind the command')
        .env('QUORATE_ADDR')
        .default(DEFAULT_ADDRESS),
    )
    .option('--json', 'one line of JSON; also behind the command')
    .addHelpText('after', ADMIN_HELP)
    .passThroughOptions()
    .allowUnknownOption()
}

function nodeCommand(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .requiredOption('--data <dir>', "the node's data directory")
    .option('--port <port>', "the node's first port; of one that is on record: to be checked", integer)
    .option('--host <host>', 'where it listens, and how the others reach it (default: 127.0.0.1)')
    .option('--id <n>', 'the node id, to be checked', integer)
    .option('--join <addresses>', 'HOST:PORT of a node of the cluster, or several parted by commas')
    .option('--token <token>', "the cluster's: `quorate init` and `quorate admin token` print it")
    .option('--supervisor <pid>', 'end within two seconds of that process', integer)
    .option(BANDWIDTH_FLAG, BANDWIDTH_HELP, bandwidth)
}

/** Lets what was printed drain, then ends, whatever handles are still open. */
function endProcess(code: ExitCode): void {
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
}

// Whoever read our output may stop reading at any time: that is no reason for a supervisor to die and take its cluster along.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

try {
  await buildProgram(endProcess).parseAsync(process.argv)
} catch (error) {
  if (error instanceof CommanderError) {
    endProcess(error.exitCode === 0 ? EXIT_GOOD : EXIT_USAGE)
  } else {
    process.stderr.write(`quorate: ${error instanceof Error ? error.stack : String(error)}\n`)
    endProcess(EXIT_FAILED)
  }
}
