/** LATENCY: what took longer than latency-monitor-threshold, and histograms of all commands. */
import { arrayReply, bulkText, errorReply, integerReply, mapReply, verbatimReply } from '../../protocol/resp-reply.ts'
import type { NamedReplies } from './commands.ts'
import type { Door, DoorCommand, DoorReply } from './door.ts'
import { allCommands } from './info.ts'
import type { LatencyEvent } from './latency-monitor.ts'
import { wordLower, wordText, wordTexts } from './words.ts'

const GRAPH_HEIGHT = 8
const GRAPH_MARKS = ['_', 'o', '#']

function noSamples(event: string): Uint8Array {
  return errorReply(`ERR No samples available for event '${event}'`)
}

const latestReply: DoorReply = (door) =>
  arrayReply(
    [...door.measures.latency.events()].map(([name, { samples, maxMs }]) => {
      const last = samples[samples.length - 1]
      return arrayReply([bulkText(name), integerReply(last.unixSeconds), integerReply(last.ms), integerReply(maxMs)])
    }),
  )

const historyReply: DoorReply = (door, _client, words) => {
  const samples = door.measures.latency.event(wordText(words, 2))?.samples ?? []
  return arrayReply(samples.map(({ unixSeconds, ms }) => arrayReply([integerReply(unixSeconds), integerReply(ms)])))
}

const resetReply: DoorReply = (door, _client, words) => integerReply(door.measures.latency.reset(wordTexts(words, 2)))

const graphReply: DoorReply = (door, _client, words) => {
  const name = wordText(words, 2)
  const event = door.measures.latency.event(name)
  if (event === null) return noSamples(name)
  return verbatimReply('txt', graph(name, event, Math.floor(door.clock.wallMs() / 1000)))
}

/** One column a sample, the newest to the right; below it how long ago that was. */
function graph(name: string, { samples, maxMs }: LatencyEvent, nowSeconds: number): string {
  const shown = samples.slice(-80)
  const low = Math.min(...shown.map(({ ms }) => ms))
  const high = Math.max(...shown.map(({ ms }) => ms))
  const levels = shown.map(({ ms }) =>
    high === low ? 0 : Math.round(((ms - low) / (high - low)) * (GRAPH_HEIGHT * GRAPH_MARKS.length - 1)),
  )
  const lines: string[] = []
  for (let row = GRAPH_HEIGHT - 1; row >= 0; row--) {
    const line = levels
      .map((level) => {
        const inRow = level - row * GRAPH_MARKS.length
        return inRow < 0 ? ' ' : inRow < GRAPH_MARKS.length ? GRAPH_MARKS[inRow] : '|'
      })
      .join('')
    if (line.trim() !== '') lines.push(line)
  }
  const ages = shown.map(({ unixSeconds }) => age(Math.max(0, nowSeconds - unixSeconds)))
  for (let row = 0; row < Math.max(...ages.map((text) => text.length)); row++) {
    lines.push(ages.map((text) => text[row] ?? ' ').join(''))
  }
  const head = `${name} - high ${high} ms, low ${low} ms (all time high ${maxMs} ms)`
  return `${head}\n${'-'.repeat(80)}\n${lines.join('\n')}\n`
}

function age(seconds: number): string {
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}

const doctorReply: DoorReply = (door) => verbatimReply('txt', diagnosis(door))

function diagnosis(door: Door): string {
  const { latencyThresholdMs, slowerThanUs } = door.config
  if (latencyThresholdMs === 0) {
    return 'Latencies are not sampled on this node. CONFIG SET latency-monitor-threshold MILLISECONDS turns that on.\n'
  }
  const events = [...door.measures.latency.events()]
  if (events.length === 0) return `Nothing took longer than ${latencyThresholdMs} ms since that is sampled.\n`
  const lines = events.map(([name, { samples, maxMs }]) => {
    const mean = samples.reduce((sum, sample) => sum + sample.ms, 0) / samples.length
    return `${name}: ${samples.length} slow seconds, on average ${mean.toFixed(0)} ms, at worst ${maxMs} ms.`
  })
  const advice = [
    slowerThanUs < 0
      ? 'CONFIG SET slowlog-log-slower-than MICROSECONDS shows which commands they are.'
      : 'SLOWLOG GET shows which commands they are.',
    'Times count from the request to its reply: the disks of a quorum and the way to the leader are in them (KV.STATUS shows who leads).',
  ]
  return `${[...lines, ...advice].join('\n')}\n`
}

const histogramReply: DoorReply = (door, _client, words) => {
  const asked = new Set<string>()
  for (let i = 2; i < words.wordCount; i++) asked.add(wordLower(words, i))
  const wanted = ({ fullName }: DoorCommand): boolean =>
    asked.size === 0 || asked.has(fullName) || asked.has(fullName.split('|')[0])
  const pairs: (readonly [Uint8Array, Uint8Array])[] = []
  for (const command of allCommands(door)) {
    const { histogram } = command.stats
    if (histogram === null || histogram.total === 0 || !wanted(command)) continue
    const steps = histogram.byPowersOfTwo().map(([us, count]) => [integerReply(us), integerReply(count)] as const)
    pairs.push([
      bulkText(command.fullName),
      mapReply([
        [bulkText('calls'), integerReply(histogram.total)],
        [bulkText('histogram_usec'), mapReply(steps)],
      ]),
    ])
  }
  return mapReply(pairs)
}

export const LATENCY_REPLIES: NamedReplies = [
  ['latency|latest', latestReply],
  ['latency|history', historyReply],
  ['latency|reset', resetReply],
  ['latency|graph', graphReply],
  ['latency|doctor', doctorReply],
  ['latency|histogram', histogramReply],
]
