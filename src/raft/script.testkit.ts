/**
 * Plays the scripts in scripts/*.txt: plain text in which every line that begins with `> ` is a command, and the lines
 * below it are all that happened because of it. Everything else (`#` comments, blank lines) stays as it is.
 *
 *   cluster N [limit=value ...]    N voters, all up; limits are fields of RaftConfig
 *   replica I                      one more, empty, that is not a member yet
 *   campaign I | tick I N | propose I WORD... | read I [N] | transfer I J
 *   join I J | promote I J | remove I J         at leader I
 *   deliver [A->B ...] [quietly]   until nothing is on the way (on these links)
 *   drop [A->B ...] | repeat A->B  loses, or doubles, what is on the way
 *   isolate I... | heal            cuts links until healed
 *   hold I... | persist I [N] | release I       the disk: held back, lets N writes through, free again
 *   crash I... | restart I...      what the disk had not synced is gone
 *   checkpoint I KEEP              compacts the log up to KEEP entries before what is applied
 *   image I->J ok|lost             the image that I was asked for reaches J, or not
 *   offer I->J                     J is offered an image of I's present state
 *   inject A->B TYPE field=value...
 *   status | log I | network
 *
 * An election time-out is 10 ticks, a heartbeat interval 2. After every command each replica takes its Readys, and
 * its disk syncs at once unless it is held.
 */
import { assert, present } from '../base/assert.ts'
import { asLogIndex, asNodeId, asReplicaId, type ReplicaId } from '../base/brand.ts'
import { latin1Text, utf8Bytes } from '../base/bytes.ts'
import { ENTRY_MEMBERSHIP, ENTRY_NOOP, type Entry } from '../protocol/entry.ts'
import { decodeMembership, type Membership } from '../protocol/membership.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'
import type { MembershipChange } from './membership-history.ts'
import type { RaftConfig, Ready } from './ready.ts'
import { GROUP, type Image, TestReplica } from './replica.testkit.ts'

const MAX_DELIVERIES = 2000

const DEFAULTS = {
  heartbeatTicks: 2,
  electionTicksMin: 10,
  electionTicksMax: 10,
  maxInflightMessages: 4,
  maxInflightBytes: 1000,
  maxMessageBytes: 200,
  maxEntryBytes: 100,
  maxUncommittedBytes: 1000,
  maxApplyBytes: 1000,
  maxPendingReads: 4,
  restAfterTicks: 0,
}

/** The script again, with what happens now under each command. */
export function playScript(text: string): string {
  const player = new ScriptPlayer()
  const out: string[] = []
  let skipping = false
  for (const line of text.trimEnd().split('\n')) {
    if (line.startsWith('> ')) {
      out.push(line, ...player.run(line.slice(2).trim()).map((happened) => `  ${happened}`))
      skipping = true
    } else if (!skipping || line.trim() === '' || line.startsWith('#')) {
      out.push(line)
      skipping = false
    }
  }
  return `${out.join('\n')}\n`
}

class ScriptPlayer {
  #lines: string[] = []
  #network: RaftMessage[] = []
  #limits: Partial<RaftConfig> = {}
  readonly #replicas = new Map<ReplicaId, TestReplica>()
  readonly #held = new Set<ReplicaId>()
  readonly #isolated = new Set<ReplicaId>()
  #starts = 0

  run(line: string): string[] {
    this.#lines = []
    const [command, ...words] = line.split(/\s+/)
    const quietly = words.at(-1) === 'quietly'
    this.#perform(command, quietly ? words.slice(0, -1) : words)
    this.#settle()
    return quietly ? [] : this.#lines
  }

  #perform(command: string, words: string[]): void {
    const [first = '', second = ''] = words
    switch (command) {
      case 'cluster':
        this.#cluster(Number(first), words.slice(1))
        return
      case 'replica':
        this.#add(asReplicaId(Number(first)), { members: [] })
        return
      case 'campaign':
        this.#core(first).campaign()
        return
      case 'tick':
        for (let i = 0; i < Number(second); i++) {
          this.#core(first).tick()
          this.#settle()
        }
        return
      case 'propose':
        this.#say(this.#core(first).propose(words.slice(1).map(utf8Bytes)))
        return
      case 'join':
      case 'promote':
      case 'remove':
        this.#change(command === 'join' ? 'addLearner' : command, first, second)
        return
      case 'read':
        for (let i = 0; i < Number(second || '1'); i++) this.#say(this.#core(first).readIndex())
        return
      case 'transfer':
        this.#lines.push(String(this.#core(first).transferLeadership(asReplicaId(Number(second)))))
        return
      default:
        this.#performOutside(command, words)
    }
  }

  /** Network, disks, processes. */
  #performOutside(command: string, words: string[]): void {
    const [first = '', second = ''] = words
    switch (command) {
      case 'deliver':
        this.#deliver(words)
        return
      case 'drop':
        this.#network = this.#network.filter((message) => {
          const lost = onLink(message, words)
          if (lost) this.#lines.push(`${describeMessage(message)} (lost)`)
          return !lost
        })
        return
      case 'repeat':
        this.#network.push(...this.#network.filter((message) => onLink(message, words)))
        return
      case 'isolate':
        for (const word of words) this.#isolated.add(asReplicaId(Number(word)))
        return
      case 'heal':
        this.#isolated.clear()
        return
      case 'hold':
        for (const word of words) this.#held.add(asReplicaId(Number(word)))
        return
      case 'persist':
        this.#sync(this.#replica(first), words.length > 1 ? Number(second) : undefined)
        return
      case 'release':
        this.#held.delete(asReplicaId(Number(first)))
        return
      case 'crash':
        for (const word of words) this.#replica(word).crash()
        return
      case 'restart':
        for (const word of words) this.#start(this.#replica(word))
        return
      default:
        this.#performOther(command, words)
    }
  }

  #performOther(command: string, words: string[]): void {
    const [first = '', second = ''] = words
    switch (command) {
      case 'checkpoint': {
        const index = this.#replica(first).checkpoint(Number(second))
        this.#lines.push(index === null ? 'nothing to compact' : `${first} compacted through ${index}`)
        return
      }
      case 'image':
        this.#moveImage(first, second)
        return
      case 'offer': {
        const [from, to] = first.split('->')
        const image = present(this.#replica(from).image(), 'offer: no image')
        this.#giveImage(this.#replica(from), this.#replica(to), image)
        return
      }
      case 'inject':
        this.#inject(first, second, words.slice(2))
        return
      case 'status':
        for (const replica of this.#replicas.values()) this.#lines.push(describeReplica(replica))
        return
      case 'log': {
        const core = this.#core(first)
        const { index, term } = core.compaction
        const entries = core.entries(core.firstIndex, core.lastIndex)
        this.#lines.push(`after ${index}/${term}: ${entries.map(describeEntry).join(' ')}`)
        return
      }
      case 'network':
        for (const message of this.#network) this.#lines.push(describeMessage(message))
        return
      default:
        throw new Error(`script: unknown command ${command}`)
    }
  }

  #replica(word: string): TestReplica {
    return present(this.#replicas.get(asReplicaId(Number(word))), `script: no replica ${word}`)
  }

  #core(word: string): TestReplica['live'] {
    return this.#replica(word).live
  }

  #say(result: object): void {
    const words = Object.entries(result).map(([name, value]) => (name === 'kind' ? String(value) : `${name} ${value}`))
    this.#lines.push(words.join(' '))
  }

  #cluster(count: number, limits: string[]): void {
    this.#limits = Object.fromEntries(
      limits.map((limit) => {
        const [name, value] = limit.split('=')
        assert(name in DEFAULTS, `script: no limit ${name}`)
        return [name, Number(value)]
      }),
    )
    const members = Array.from({ length: count }, (_, i) => ({
      replicaId: asReplicaId(i + 1),
      nodeId: asNodeId(i + 1),
      role: 'voter' as const,
    }))
    for (const { replicaId } of members) this.#add(replicaId, { members })
  }

  #add(replicaId: ReplicaId, membership: Membership): void {
    const config: RaftConfig = { ...DEFAULTS, ...this.#limits, replicaId }
    const replica = new TestReplica(config, membership, {
      send: (message) => this.#network.push(message),
      onReady: (sender, ready) => this.#describeReady(sender, ready),
    })
    this.#replicas.set(replicaId, replica)
    this.#start(replica)
  }

  #start(replica: TestReplica): void {
    replica.start(++this.#starts)
    // The first Ready only says how things stand.
    const lines = this.#lines
    this.#lines = []
    replica.takeReady()
    this.#lines = lines
  }

  #change(kind: MembershipChange['kind'], leader: string, who: string): void {
    const replicaId = asReplicaId(Number(who))
    this.#say(this.#core(leader).proposeMembership({ kind, replicaId, nodeId: asNodeId(replicaId) }))
  }

  #settle(): void {
    for (const replica of this.#replicas.values()) {
      for (let i = 0; i < 100 && replica.core !== null; i++) {
        const took = replica.takeReady() !== null
        if (!this.#held.has(replica.id)) replica.sync()
        if (!took) break
      }
    }
  }

  #sync(replica: TestReplica, count: number | undefined): void {
    this.#lines.push(`${replica.id} synced ${Math.min(count ?? replica.pending.length, replica.pending.length)} writes`)
    replica.sync(count)
  }

  #deliver(links: string[]): void {
    for (let count = 0; count < MAX_DELIVERIES; count++) {
      const at = this.#network.findIndex((message) => onLink(message, links))
      if (at < 0) return
      const [message] = this.#network.splice(at, 1)
      const core = this.#replicas.get(message.to)?.core ?? null
      const cut = this.#isolated.has(message.from) !== this.#isolated.has(message.to)
      const lost = cut || core === null
      this.#lines.push(describeMessage(message) + (lost ? ' (lost)' : ''))
      if (lost) continue
      core.step(message)
      this.#settle()
    }
    throw new Error('script: deliver does not come to rest')
  }

  #moveImage(link: string, outcome: string): void {
    const [from, to] = link.split('->')
    const sender = this.#replica(from)
    const wanted = sender.imagesWanted.indexOf(asReplicaId(Number(to)))
    assert(wanted >= 0, `script: ${from} was not asked for an image for ${to}`)
    sender.imagesWanted.splice(wanted, 1)
    const image = present(sender.image(), 'script: no image to send')
    const arrived = outcome === 'ok' && this.#giveImage(sender, this.#replica(to), image)
    sender.live.imageOutcome(asReplicaId(Number(to)), image.meta.index, arrived)
  }

  #giveImage(from: TestReplica, to: TestReplica, image: Image): boolean {
    const { index, term } = image.meta
    const taken = to.receiveImage(image, from.live.term, from.id)
    this.#lines.push(
      `${to.id} ${taken === null ? 'does not want' : taken ? 'takes' : 'refuses'} image ${index}/${term}`,
    )
    return taken === true
  }

  #inject(link: string, type: string, fields: string[]): void {
    const [from, to] = link.split('->').map(Number)
    const values: [string, unknown][] = fields.map((field) => {
      const [name, value] = field.split('=')
      return [name, value === 'true' ? true : value === 'false' ? false : Number(value)]
    })
    const zero = { lastIndex: 0, lastTerm: 0, transfer: false, commit: 0, readToken: 0, prevIndex: 0, prevTerm: 0 }
    const message = { type, group: GROUP, from, to, term: 0, ...zero, entries: [], ...Object.fromEntries(values) }
    this.#core(String(to)).step(message as unknown as RaftMessage)
  }

  #describeReady(replica: TestReplica, ready: Ready): void {
    const say = (text: string): number => this.#lines.push(`${replica.id} ${text}`)
    if (ready.status !== null) {
      const { role, term, leader, membership } = ready.status
      say(
        `is ${role} of term ${term}, leader ${leader === 0 ? 'unknown' : leader}, members ${describeMembers(membership)}`,
      )
    }
    if (ready.installed !== null) {
      const { index, term, keepsLogSuffix } = ready.installed
      say(`switches to image ${index}/${term}, ${keepsLogSuffix ? 'keeps the log above' : 'drops its log'}`)
    }
    if (ready.truncateFrom !== null) say(`truncates from ${ready.truncateFrom}`)
    if (ready.entries.length > 0) say(`appends ${ready.entries.map(describeEntry).join(' ')}`)
    if (ready.committed.length > 0) say(`applies ${ready.committed.map(describeEntry).join(' ')}`)
    for (const { read, index } of ready.readStates) say(`may serve read ${read} at ${index}`)
    if (ready.readsRefused.length > 0) say(`refuses reads ${ready.readsRefused.join(' ')}`)
    if (ready.imagesWanted.length > 0) say(`wants images for ${ready.imagesWanted.join(' ')}`)
  }
}

function onLink(message: RaftMessage, links: string[]): boolean {
  return links.length === 0 || links.includes(`${message.from}->${message.to}`)
}

function describeMembers({ members }: Membership): string {
  if (members.length === 0) return 'none'
  return members.map(({ replicaId, role }) => (role === 'voter' ? `${replicaId}` : `(${replicaId})`)).join(' ')
}

function describeEntry({ index, term, kind, payload }: Entry): string {
  if (kind === ENTRY_NOOP) return `${index}/${term}:noop`
  if (kind === ENTRY_MEMBERSHIP) return `${index}/${term}:[${describeMembers(decodeMembership(payload))}]`
  return `${index}/${term}:${latin1Text(payload)}`
}

function describeReplica({ id, core, machine }: TestReplica): string {
  if (core === null) return `${id} down`
  const { role, term, leader, commitIndex, lastIndex, membership } = core
  const progress = core.progress().map(({ replicaId, matchIndex, state }) => ` ${replicaId}:${state}@${matchIndex}`)
  const log = `log ${core.firstIndex}..${lastIndex} commit ${commitIndex} applied ${machine.index}`
  return `${id} ${role} term ${term} leader ${leader} ${log} members ${describeMembers(membership)}${progress.join('')}`
}

function describeMessage(message: RaftMessage): string {
  const head = `${message.from}->${message.to} ${message.type} t${message.term}`
  switch (message.type) {
    case 'preVoteRequest':
      return `${head} last ${message.lastIndex}/${message.lastTerm}`
    case 'voteRequest':
      return `${head} last ${message.lastIndex}/${message.lastTerm}${message.transfer ? ' transfer' : ''}`
    case 'preVoteResponse':
    case 'voteResponse':
      return `${head} ${message.granted ? 'granted' : 'refused'}`
    case 'appendRequest': {
      const entries = message.entries.map(describeEntry).join(' ')
      return `${head} after ${message.prevIndex}/${message.prevTerm} commit ${message.commit} [${entries}]`
    }
    case 'appendResponse':
      if (message.success) return `${head} holds ${message.index}`
      return `${head} refused ${message.index}, may agree at ${message.hintIndex}/${message.hintTerm}`
    case 'heartbeat':
      return `${head} commit ${message.commit} token ${message.readToken}`
    case 'rest':
      return `${head} at ${message.commit}`
    case 'heartbeatResponse':
      return `${head} token ${message.readToken}`
    case 'readIndexResponse':
      return `${head} ${message.ok ? `index ${asLogIndex(message.index)}` : 'refused'}`
    default:
      return head
  }
}
