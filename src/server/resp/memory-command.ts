/** MEMORY DOCTOR, STATS, MALLOC-STATS, PURGE: of this node's process. MEMORY USAGE is about a key, and runs on its group. */
import { bulkText, integerReply, mapReply, OK_REPLY, verbatimReply } from '../../protocol/resp-reply.ts'
import type { NamedReplies } from './commands.ts'
import type { Door } from './door.ts'

function figures(door: Door): readonly (readonly [name: string, bytes: number])[] {
  const { memory } = door.gates
  const use = memory.sample(door.clock.monotonicMs())
  return [
    ['peak.allocated', memory.peakBytes],
    ['total.allocated', use.usedBytes],
    ['process.resident', use.residentBytes],
    ['machine.total', door.options.nodeInfo.usage.machineMemoryBytes],
  ]
}

function advice(door: Door): string {
  const { maxMemoryBytes } = door.config
  const use = door.gates.memory.sample(door.clock.monotonicMs())
  const { machineMemoryBytes } = door.options.nodeInfo.usage
  if (maxMemoryBytes > 0 && use.usedBytes > maxMemoryBytes) {
    return `The process uses ${use.usedBytes} bytes, more than maxmemory (${maxMemoryBytes}): commands that may need more are refused.\n`
  }
  if (use.residentBytes > machineMemoryBytes * 0.9) {
    return `The process holds ${use.residentBytes} of the machine's ${machineMemoryBytes} bytes: give it a larger machine, or move groups away.\n`
  }
  return 'Nothing to see here: data stands on disk, and memory holds what was written since the last checkpoint.\n'
}

export const MEMORY_REPLIES: NamedReplies = [
  ['memory|doctor', (door) => verbatimReply('txt', advice(door))],
  [
    'memory|stats',
    (door) => mapReply(figures(door).map(([name, bytes]) => [bulkText(name), integerReply(bytes)] as const)),
  ],
  [
    'memory|malloc-stats',
    (door) =>
      verbatimReply(
        'txt',
        figures(door)
          .map(([name, bytes]) => `${name}: ${bytes}\n`)
          .join(''),
      ),
  ],
  // The collector gives memory back by itself.
  ['memory|purge', () => OK_REPLY],
]
