/** A command that is repeated until the tree has answered it, and may run twice without harm: the opening of a session (its nonce tells) and its end. */
import { asSlotId } from '../../base/brand.ts'
import { DecodeError } from '../../base/bytes.ts'
import { encodePayload, PAYLOAD_METADATA } from '../../protocol/command.ts'
import type { MetadataResponse } from '../../protocol/metadata-message.ts'
import { decodeMetadataReply, type MetadataAnswer } from '../../protocol/metadata-reply.ts'
import { OUTCOME_REPLY } from '../../protocol/request-message.ts'
import { Exchange } from './exchange.ts'
import type { MasterLink } from './master-link.ts'

interface Command {
  readonly session: number
  readonly bytes: Uint8Array
  answered(answer: MetadataAnswer): void
}

export class LoneCommand {
  readonly #link: MasterLink
  readonly #retryUntilMs: () => number
  readonly #exchange: Exchange
  #command: Command | null = null

  constructor(link: MasterLink, resendMs: number, retryUntilMs: () => number) {
    this.#link = link
    this.#retryUntilMs = retryUntilMs
    this.#exchange = new Exchange(resendMs)
  }

  get waitingSinceMs(): number | null {
    return this.#exchange.waitingSinceMs
  }

  get isUnderWay(): boolean {
    return this.#command !== null
  }

  /** `answered` is called once, unless it is given up. */
  begin(session: number, bytes: Uint8Array, answered: (answer: MetadataAnswer) => void): void {
    this.#command = { session, bytes, answered }
  }

  giveUp(): void {
    this.#command = null
    this.#exchange.end()
  }

  pump(nowMs: number): void {
    if (this.#command === null || !this.#link.attached) return
    if (!this.#exchange.active) this.#exchange.begin(this.#link.nextRequest(), nowMs)
    else if (!this.#exchange.isDue(nowMs)) return
    const { session, bytes } = this.#command
    const header = { kind: PAYLOAD_METADATA, slot: asSlotId(0), stampMs: 0, session, sequence: 0 } as const
    const payload = encodePayload({ ...header, lowestUnanswered: 0, retryUntilMs: this.#retryUntilMs() }, bytes)
    this.#link.send({ type: 'write', payloads: [payload] }, this.#exchange.request)
  }

  wrote(response: Extract<MetadataResponse, { type: 'wrote' }>, nowMs: number): void {
    if (this.#command === null || response.request !== this.#exchange.request) return
    const answer = response.outcome === OUTCOME_REPLY ? decodedOrNull(response.reply) : null
    // Full, too late, or nothing that the tree says: tried again.
    if (answer === null || answer.reply.kind === 'error') return this.#exchange.refused(response.request, nowMs)
    const { answered } = this.#command
    this.giveUp()
    answered(answer)
  }

  refused(request: number, nowMs: number): void {
    this.#exchange.refused(request, nowMs)
  }

  reattached(nowMs: number): void {
    this.#exchange.restart(nowMs)
  }
}

function decodedOrNull(reply: Uint8Array): MetadataAnswer | null {
  try {
    return decodeMetadataReply(reply)
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}
