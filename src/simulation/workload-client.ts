/** What all simulated clients share: a connection, rounds with pauses, a count of what became of their commands. */
import type { Scheduler } from './scheduler.ts'
import { type ClientReply, SimClient } from './sim-client.ts'
import type { Workload, WorkloadOptions } from './workload.ts'

export interface ClientContext {
  readonly scheduler: Scheduler
  readonly workload: Workload
  readonly options: WorkloadOptions
  readonly id: number
}

/** What a reply says of whether the command ran. */
export function fate(reply: ClientReply): 'ok' | 'failed' | 'unknown' {
  if (reply.kind === 'lost') return 'unknown'
  if (reply.value.kind !== 'error') return 'ok'
  const { text } = reply.value
  if (text.startsWith('UNCERTAIN')) return 'unknown'
  if (/^(CLUSTERDOWN|BUSY|DISKFULL|EXECABORT)/.test(text)) return 'failed'
  return 'ok'
}

export abstract class WorkloadClient {
  draining = false
  acknowledged = 0
  protected readonly context: ClientContext
  protected readonly client: SimClient

  constructor(
    context: ClientContext,
    network: ConstructorParameters<typeof SimClient>[1],
    settings: ConstructorParameters<typeof SimClient>[2],
  ) {
    this.context = context
    this.client = new SimClient(context.scheduler, network, settings, () => this.onReady())
  }

  get unanswered(): number {
    return this.client.unanswered
  }

  start(): void {
    this.client.start()
    this.loop()
  }

  stop(): void {
    this.client.stop()
  }

  protected onReady(): void {}

  /** One round; called again after a pause. */
  protected abstract round(): void

  protected loop(): void {
    const pauseMs = this.context.scheduler.random.unit() * 2 * this.context.options.thinkMs
    this.context.scheduler.after(pauseMs, `c${this.context.id}`, () => {
      if (!this.draining && this.client.connected) this.round()
      this.loop()
    })
  }

  protected countFate(of: 'ok' | 'failed' | 'unknown'): void {
    const { workload } = this.context
    if (of === 'ok') {
      this.acknowledged++
      workload.operationsOk++
    } else if (of === 'failed') workload.operationsFailed++
    else workload.operationsUnknown++
  }
}
