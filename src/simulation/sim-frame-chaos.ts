/**
 * Loss, duplication and reordering as Raft must bear them, above TCP: on consensus lanes whole frames vanish, come
 * twice or change places. Peer connections are known by their HELLO, which is never touched; every other stream
 * passes as it is, because TCP loses nothing within a connection.
 */
import { concatBytes, DecodeError } from '../base/bytes.ts'
import { LANE_CONSENSUS } from '../ports/peer-channel.ts'
import { decodeHello, FRAME_HEADER_BYTES, frameBytesAt, MAX_HELLO_FRAME_BYTES } from '../protocol/frame.ts'
import type { ScheduledEvent, Scheduler } from './scheduler.ts'

export interface FrameChaosConditions {
  readonly frameDropProbability: number
  readonly frameDuplicateProbability: number
  readonly frameReorderProbability: number
}

/** A frame that changes places waits for the next one, but no longer than this. */
const REORDER_MAX_MS = 50

export class SimFrameChaos {
  readonly #scheduler: Scheduler
  readonly #conditions: () => FrameChaosConditions
  readonly #count: (fault: string) => void
  readonly #forward: (bytes: Uint8Array) => void
  #mode: 'undecided' | 'plain' | 'frames' = 'undecided'
  #gathered: Uint8Array = new Uint8Array(0)
  #held: Uint8Array | null = null
  #release: ScheduledEvent | null = null

  constructor(
    scheduler: Scheduler,
    conditions: () => FrameChaosConditions,
    count: (fault: string) => void,
    forward: (bytes: Uint8Array) => void,
  ) {
    this.#scheduler = scheduler
    this.#conditions = conditions
    this.#count = count
    this.#forward = forward
  }

  write(bytes: Uint8Array): void {
    if (this.#mode === 'plain') this.#forward(bytes)
    else if (this.#mode === 'frames') this.#takeFrames(bytes)
    else this.#decide(bytes)
  }

  /** What is held goes out: the stream ends in good order. */
  finish(): void {
    this.#releaseHeld()
    if (this.#mode === 'frames' && this.#gathered.length > 0) this.#forward(this.#gathered)
    this.#gathered = new Uint8Array(0)
  }

  abandon(): void {
    if (this.#release !== null) this.#scheduler.cancel(this.#release)
    this.#release = null
    this.#held = null
    this.#gathered = new Uint8Array(0)
  }

  /** The head of the stream passes at once; a copy of it is gathered until it is a HELLO or cannot be one. */
  #decide(bytes: Uint8Array): void {
    const before = this.#gathered.length
    this.#gathered = concatBytes([this.#gathered, bytes])
    const helloBytes = frameBytesAt(this.#gathered, 0)
    if (helloBytes === null) {
      this.#forward(bytes)
      return
    }
    const possible = helloBytes <= MAX_HELLO_FRAME_BYTES && helloBytes >= FRAME_HEADER_BYTES
    if (possible && this.#gathered.length < helloBytes) {
      this.#forward(bytes)
      return
    }
    const lane = possible ? helloLane(this.#gathered.subarray(FRAME_HEADER_BYTES, helloBytes)) : null
    this.#gathered = new Uint8Array(0)
    if (lane !== LANE_CONSENSUS) {
      this.#mode = 'plain'
      this.#forward(bytes)
      return
    }
    this.#mode = 'frames'
    this.#forward(bytes.subarray(0, helloBytes - before))
    this.#takeFrames(bytes.subarray(helloBytes - before))
  }

  /** Neighbouring frames to which nothing happens stay one write. */
  #takeFrames(bytes: Uint8Array): void {
    const all = this.#gathered.length === 0 ? bytes : concatBytes([this.#gathered, bytes])
    let untouchedFrom = 0
    let at = 0
    for (;;) {
      const frameBytes = frameBytesAt(all, at)
      if (frameBytes === null || all.length - at < frameBytes) break
      const end = at + frameBytes
      const fate = this.#draw()
      if (fate !== 'pass' || this.#held !== null) {
        if (untouchedFrom < at) this.#forward(all.subarray(untouchedFrom, at))
        this.#harm(fate, all.subarray(at, end))
        untouchedFrom = end
      }
      at = end
    }
    if (untouchedFrom < at) this.#forward(all.subarray(untouchedFrom, at))
    this.#gathered = all.subarray(at)
  }

  #draw(): 'pass' | 'drop' | 'reorder' | 'duplicate' {
    const random = this.#scheduler.random
    const conditions = this.#conditions()
    if (random.chance(conditions.frameDropProbability)) return 'drop'
    if (this.#held === null && random.chance(conditions.frameReorderProbability)) return 'reorder'
    return random.chance(conditions.frameDuplicateProbability) ? 'duplicate' : 'pass'
  }

  #harm(fate: 'pass' | 'drop' | 'reorder' | 'duplicate', frame: Uint8Array): void {
    if (fate === 'drop') {
      this.#count('framesDropped')
    } else if (fate === 'reorder') {
      this.#count('framesReordered')
      this.#hold(frame)
    } else {
      this.#forward(frame)
      this.#releaseHeld()
      if (fate === 'pass') return
      this.#count('framesDuplicated')
      if (this.#scheduler.random.chance(0.5)) this.#forward(frame)
      else this.#hold(frame)
    }
  }

  /** Until the next frame has passed, or a while. */
  #hold(frame: Uint8Array): void {
    this.#held = frame
    this.#release = this.#scheduler.after(REORDER_MAX_MS * this.#scheduler.random.unit(), 'net late frame', () => {
      this.#release = null
      this.#releaseHeld()
    })
  }

  #releaseHeld(): void {
    const held = this.#held
    if (this.#release !== null) this.#scheduler.cancel(this.#release)
    this.#release = null
    this.#held = null
    if (held !== null) this.#forward(held)
  }
}

function helloLane(payload: Uint8Array): number | null {
  try {
    return decodeHello(payload).lane
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}
