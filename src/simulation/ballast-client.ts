/**
 * Weight to be moved: one client with many keys of its own, spread over all slots, that it sets, deletes and reads at random. It is the only one that writes them, so it
 * knows what each must show: a write that a move has lost, or a deleted key that shows again, is seen at the next read.
 */
import type { ClientReply } from './sim-client.ts'
import { fate, WorkloadClient } from './workload-client.ts'

const PER_ROUND = 4
const IN_FLIGHT_MAX = 24
const VALUE_BYTES_MAX = 300

interface BallastKey {
  name: string
  value: string | null
  /** One command at a time on each key. */
  busy: boolean
}

export class BallastClient extends WorkloadClient {
  readonly #keys: BallastKey[] = []
  #named = 0
  #written = 0

  protected round(): void {
    const { random } = this.context.scheduler
    while (this.#keys.length < (this.context.options.ballastKeys ?? 0)) this.#keys.push(this.#fresh())
    for (let i = 0; i < PER_ROUND && this.client.unanswered < IN_FLIGHT_MAX; i++) {
      const key = random.pick(this.#keys)
      if (key.busy) continue
      const dice = random.unit()
      if (dice < 0.4) this.#read(key)
      else this.#write(key, dice < 0.8 ? this.#value() : null)
    }
  }

  #fresh(): BallastKey {
    return { name: `ballast${this.context.id}.${this.#named++}`, value: null, busy: false }
  }

  #value(): string {
    return `${this.#written++}-${'b'.repeat(this.context.scheduler.random.below(VALUE_BYTES_MAX))}`
  }

  #read(key: BallastKey): void {
    const { name, value } = key
    key.busy = true
    this.client.send(['GET', name], (reply) => {
      key.busy = false
      const of = fate(reply)
      this.countFate(of)
      if (of !== 'ok' || reply.kind === 'lost') return
      const got = reply.value.kind === 'bulk' ? reply.value.text : reply.value.kind === 'null' ? null : undefined
      if (got !== value) this.#finding(name, 'GET', value, reply)
    })
  }

  /** Null: deletes it. */
  #write(key: BallastKey, value: string | null): void {
    const { name, value: before } = key
    key.busy = true
    this.client.send(value === null ? ['DEL', name] : ['SET', name, value], (reply) => {
      key.busy = false
      const of = fate(reply)
      this.countFate(of)
      // It may run at any later time: the key is nobody's from here on.
      if (of === 'unknown') Object.assign(key, this.#fresh())
      if (of !== 'ok' || reply.kind === 'lost') return
      key.value = value
      if (value !== null || reply.value.kind !== 'integer') return
      if (reply.value.value !== (before === null ? 0 : 1)) this.#finding(name, 'DEL', before, reply)
    })
  }

  #finding(name: string, what: string, value: string | null, reply: ClientReply): void {
    const got = reply.kind === 'lost' ? 'nothing' : JSON.stringify(reply.value).slice(0, 60)
    this.context.workload.finding(`ballast: ${what} ${name} gave ${got}, it was ${JSON.stringify(value)?.slice(0, 40)}`)
  }
}
