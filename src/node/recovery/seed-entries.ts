/** A whole tree as the first entries of the masters' log: several where one write may not hold it; nobody reads before the last of them is applied. */
import { asLogIndex, asSlotId, type Term } from '../../base/brand.ts'
import { encodePayload, PAYLOAD_METADATA } from '../../protocol/command.ts'
import { ENTRY_COMMAND, type Entry } from '../../protocol/entry.ts'
import { encodeMetadataWrite } from '../../protocol/metadata-command.ts'
import { METADATA_LIMITS, type MetadataOperation } from '../../protocol/metadata-operation.ts'

/** Session 0: the group's own word. Parents come before their children. */
export function seedEntries(operations: readonly MetadataOperation[], term: Term, stampMs: number): Entry[] {
  const header = { kind: PAYLOAD_METADATA, slot: asSlotId(0), stampMs, session: 0, sequence: 0 } as const
  return partsOf(operations).map((part, i) => {
    const command = encodeMetadataWrite({ kind: 'multi', operations: part })
    const payload = encodePayload({ ...header, lowestUnanswered: 0, retryUntilMs: 0 }, command)
    return { term, index: asLogIndex(i + 1), kind: ENTRY_COMMAND, payload }
  })
}

function partsOf(operations: readonly MetadataOperation[]): MetadataOperation[][] {
  const { maxMultiBytes, maxMultiOperations, operationBytes } = METADATA_LIMITS
  const parts: MetadataOperation[][] = []
  let bytes = maxMultiBytes
  for (const operation of operations) {
    const own = operationBytes + operation.path.length + ('data' in operation ? operation.data.length : 0)
    const part = parts.at(-1)
    if (part === undefined || bytes + own > maxMultiBytes || part.length === maxMultiOperations) {
      parts.push([operation])
      bytes = own
    } else {
      part.push(operation)
      bytes += own
    }
  }
  return parts
}
