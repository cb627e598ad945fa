/** What the core has to say until the next Ready takes it. */
import type { ReplicaId } from '../base/brand.ts'
import type { RaftMessage } from '../protocol/raft-message.ts'
import type { ImageMeta, ReadState } from './ready.ts'

export class Outbox {
  messagesNow: RaftMessage[] = []
  messagesAfterDisk: RaftMessage[] = []
  readStates: ReadState[] = []
  readsRefused: number[] = []
  imagesWanted: ReplicaId[] = []
  installed: (ImageMeta & { readonly keepsLogSuffix: boolean }) | null = null

  get isEmpty(): boolean {
    return (
      this.messagesNow.length === 0 &&
      this.messagesAfterDisk.length === 0 &&
      this.readStates.length === 0 &&
      this.readsRefused.length === 0 &&
      this.imagesWanted.length === 0 &&
      this.installed === null
    )
  }

  /**
   * An answer that promises durability. Only the newest of several acknowledgements to one leader in one Ready is
   * worth a message: they are cumulative.
   */
  afterDisk(message: RaftMessage): void {
    const count = this.messagesAfterDisk.length
    const last = count === 0 ? null : this.messagesAfterDisk[count - 1]
    const replaces =
      last !== null &&
      last.type === 'appendResponse' &&
      message.type === 'appendResponse' &&
      last.success &&
      message.success &&
      last.to === message.to &&
      last.term === message.term
    if (!replaces) this.messagesAfterDisk.push(message)
    else if (message.index > last.index) this.messagesAfterDisk[count - 1] = message
  }
}
