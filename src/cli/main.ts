#!/usr/bin/env node
/** The `quorate` command: reads the command line and hands over. Exit codes: 0 good, 1 failed, 2 usage or set-up. */
import { fileURLToPath } from 'node:url'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { VERSION } from '../base/version.ts'
import { CLI_HELP, type CliOptions, runCli } from './cli-command.ts'
import { type DevOptions, runDev } from './dev-command.ts'
import { EXIT_FAILED, EXIT_GOOD, EXIT_USAGE, type ExitCode } from './exit.ts'
import { type NodeOptions, runNode } from './node-command.ts'
import { DEFAULT_ADDRESS } from './prompt/cluster-addresses.ts'
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
    .option('--json', 'print one line of JSON when ready', false)
    .option('--no-repl', 'no prompt, also on a terminal')
    .action(async (options: DevOptions) => end(await runDev(options, fileURLToPath(import.meta.url))))

  program
    .command('node')
    .description('run one node of a cluster that `quorate dev` made')
    .requiredOption('--data <dir>', "the node's data directory")
    .option('--port <port>', "the node's first port, to be checked against its identity", integer)
    .option('--id <n>', 'the node id, to be checked against its identity', integer)
    .option('--supervisor <pid>', 'end within two seconds of that process', integer)
    .option('--join <address>', 'not built yet')
    .option('--token <token>', 'not built yet')
    .option('--roles <roles>', 'not built yet')
    .action(async (options: NodeOptions) => end(await runNode(options)))

  program
    .command('wal')
    .description('look at write-ahead logs')
    .command('dump')
    .description("print the log of a node's data directory as text")
    .argument('<dir>', "the node's data directory")
    .action(async (directory: string) => end(await runWalDump(directory)))

  return program
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
