/**
 * `migration`: half of all slots move from one group to the other while clients go on. How fast they move, what the clients lose meanwhile, and then, on a
 * cluster that is otherwise idle, how long one slot's writes pause around its hand-over.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { slotOf } from '../../base/slot.ts'
import { RespClient } from '../../cli/resp-client.ts'
import { failedOperation, setupError } from '../bench-error.ts'
import { QUORATE_MAIN, startDevCluster } from '../dev-cluster.ts'
import type { BenchOptions } from '../options.ts'
import type { Study } from '../table.ts'
import type { Workshop } from '../workshop.ts'
import { ForegroundLoad, failWhereError, keyOf, VALUE_BYTES } from './foreground-load.ts'
import {
  type LoadWindow,
  longestGapMs,
  type MigrationMeasured,
  migrationRow,
  migrationTable,
} from './migration-report.ts'

const MIB = 1024 * 1024
const FILL_MIB = 256
const FILL_MIB_QUICK = 32
const FILL_OUTSTANDING = 256
const WARM_UP_MS = 3_000
const BEFORE_MS = 10_000
const BEFORE_MS_QUICK = 4_000
const WINDOW_MS = 500
const PROBED_SLOTS = 16
const PROBED_SLOTS_QUICK = 6
const PROBE_AROUND_MS = 300
const CONNECT_TIMEOUT_MS = 5_000
const [SOURCE, DESTINATION] = [1, 2]

type Range = readonly [first: number, last: number, group: number]

interface SlotTable {
  readonly slotCount: number
  readonly ranges: readonly Range[]
}

export async function studyMigration(
  workshop: Workshop,
  options: BenchOptions,
  say: (text: string) => void,
): Promise<Study> {
  const keys = ((options.quick ? FILL_MIB_QUICK : FILL_MIB) * MIB) / VALUE_BYTES
  say('starting a cluster of two groups')
  const { nodes } = await startDevCluster(workshop, 'migration', 2)
  const address = nodes[0].resp
  const admin = (...words: string[]): Promise<unknown> => runAdmin(workshop, address, words)
  say(`writing ${keys} keys of ${VALUE_BYTES} bytes`)
  await fill(address, keys)
  const table = parseSlotTable(await admin('slots'))
  const moving = table.ranges.filter(([, , group]) => group === SOURCE)
  const moved = movedData(keys, table.slotCount, moving)
  const load = await moveUnderLoad(address, keys, moving, options, admin, say)
  const slots = slotsOf(moving).slice(0, options.quick ? PROBED_SLOTS_QUICK : PROBED_SLOTS)
  const pausesMs: number[] = []
  for (const slot of slots) pausesMs.push(await probePause(address, slot, table.slotCount, admin))
  say(`hand-over pauses: ${pausesMs.map((pause) => pause.toFixed(1)).join(' ')} ms`)
  const row = migrationRow({ ...moved, ...load, pausesMs })
  return { rows: [row], table: migrationTable([row]) }
}

async function moveUnderLoad(
  address: string,
  keys: number,
  moving: readonly Range[],
  options: BenchOptions,
  admin: (...words: string[]) => Promise<unknown>,
  say: (text: string) => void,
): Promise<Pick<MigrationMeasured, 'before' | 'during' | 'moveSeconds'>> {
  const load = new ForegroundLoad(keys)
  try {
    await load.start(address)
    await delay(WARM_UP_MS)
    load.takeWindow()
    const before: LoadWindow[] = []
    for (let ms = 0; ms < (options.quick ? BEFORE_MS_QUICK : BEFORE_MS); ms += WINDOW_MS)
      before.push(await window(load))
    say(`moving slots ${rangesText(moving)} to group ${DESTINATION} under load`)
    const during: LoadWindow[] = []
    const startedMs = performance.now()
    let endedMs = 0
    const ended = admin('move', rangesText(moving), '--to', `${DESTINATION}`, '--wait').finally(() => {
      endedMs = performance.now()
    })
    // Its failure is told below, once the window under way is over.
    ended.catch(() => {})
    while (endedMs === 0) during.push(await window(load))
    await ended
    return { before, during, moveSeconds: (endedMs - startedMs) / 1000 }
  } finally {
    load.stop()
  }
}

async function window(load: ForegroundLoad): Promise<LoadWindow> {
  await delay(WINDOW_MS)
  return load.takeWindow()
}

async function fill(address: string, keys: number): Promise<void> {
  const client = await RespClient.connect(address, CONNECT_TIMEOUT_MS)
  const value = new Uint8Array(VALUE_BYTES).fill(0x78)
  let next = 0
  const writer = async (): Promise<void> => {
    while (next < keys) failWhereError(await client.call('SET', keyOf(next++), value))
  }
  try {
    await Promise.all(Array.from({ length: FILL_OUTSTANDING }, writer))
  } finally {
    client.close()
  }
}

/** Moves one slot back while a client writes one key of it as fast as it gets answers. */
async function probePause(
  address: string,
  slot: number,
  slotCount: number,
  admin: (...words: string[]) => Promise<unknown>,
): Promise<number> {
  const client = await RespClient.connect(address, CONNECT_TIMEOUT_MS)
  const key = keyIn(slot, slotCount)
  const completedAtMs: number[] = []
  let isOver = false
  const writing = (async () => {
    while (!isOver) {
      failWhereError(await client.call('SET', key, 'x'))
      completedAtMs.push(performance.now())
    }
  })()
  try {
    await delay(PROBE_AROUND_MS)
    await Promise.race([admin('move', `${slot}-${slot}`, '--to', `${SOURCE}`, '--wait'), writing])
    await delay(PROBE_AROUND_MS)
    isOver = true
    await writing
  } finally {
    client.close()
  }
  return longestGapMs(completedAtMs)
}

async function runAdmin(workshop: Workshop, address: string, words: readonly string[]): Promise<unknown> {
  const args = [QUORATE_MAIN, 'admin', '--addr', address, '--json', ...words]
  const { code, stdout, stderr } = await workshop.runProgram(process.execPath, args)
  if (code !== 0) {
    throw failedOperation(`quorate admin ${words.join(' ')}: ${stdout.trim() || stderr.trim()}`, 'see the nodes’ logs')
  }
  return JSON.parse(stdout) as unknown
}

export function parseSlotTable(answer: unknown): SlotTable {
  const table = answer as Partial<SlotTable> | null
  if (typeof table?.slotCount !== 'number' || !Array.isArray(table.ranges)) {
    throw setupError(`quorate admin slots said: ${JSON.stringify(answer)}`, 'run: npm run build')
  }
  return table as SlotTable
}

/** What of the keys `fill` writes lies in these slots. */
export function movedData(
  keys: number,
  slotCount: number,
  ranges: readonly Range[],
): { readonly movedKeys: number; readonly movedBytes: number } {
  const moving = new Set<number>(slotsOf(ranges))
  let movedKeys = 0
  let movedBytes = 0
  for (let number = 0; number < keys; number++) {
    const key = Buffer.from(keyOf(number), 'latin1')
    if (!moving.has(slotOf(key, slotCount))) continue
    movedKeys++
    movedBytes += key.length + VALUE_BYTES
  }
  return { movedKeys, movedBytes }
}

function keyIn(slot: number, slotCount: number): string {
  for (let number = 0; ; number++) {
    const key = `probe:${number}`
    if (slotOf(Buffer.from(key, 'latin1'), slotCount) === slot) return key
  }
}

function slotsOf(ranges: readonly Range[]): number[] {
  return ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i))
}

function rangesText(ranges: readonly Range[]): string {
  return ranges.map(([first, last]) => `${first}-${last}`).join(',')
}
