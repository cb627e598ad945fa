/** One key of each slot, written and read back once: every slot is served. */
import { latin1Bytes } from '../base/bytes.ts'
import { slotOf } from '../base/slot.ts'
import type { Scheduler } from './scheduler.ts'
import { SimClient } from './sim-client.ts'
import type { SimCluster } from './sim-cluster.ts'

/** Beyond the workload's clients. */
const CLIENT = 900
const REPLY_TIMEOUT_MS = 6_000

export class SlotProbe {
  /** Slots that have not answered as they must. */
  readonly silent: Set<number>
  readonly #client: SimClient
  readonly #slotCount: number

  constructor(scheduler: Scheduler, cluster: SimCluster, slotCount: number) {
    this.#slotCount = slotCount
    this.silent = new Set(Array.from({ length: slotCount }, (_, slot) => slot))
    const addresses = cluster.hosts.map(({ nodeId }) => cluster.respAddress(nodeId))
    const settings = { name: 'probe', addresses, replyTimeoutMs: REPLY_TIMEOUT_MS }
    this.#client = new SimClient(scheduler, cluster.clientNetwork(CLIENT), settings, () => this.#ask())
  }

  start(): void {
    this.#client.start()
  }

  stop(): void {
    this.#client.stop()
  }

  /** Again for those that are left, on each new connection. */
  #ask(): void {
    for (const slot of this.silent) {
      const key = keyOf(slot, this.#slotCount)
      this.#client.send(['SET', key, `of-${slot}`], () => {})
      this.#client.send(['GET', key], (reply) => {
        const isRight = reply.kind === 'reply' && reply.value.kind === 'bulk' && reply.value.text === `of-${slot}`
        if (isRight) this.silent.delete(slot)
      })
    }
  }
}

function keyOf(slot: number, slotCount: number): string {
  for (let i = 0; ; i++) {
    const key = `probe-${i}`
    if (slotOf(latin1Bytes(key), slotCount) === slot) return key
  }
}
