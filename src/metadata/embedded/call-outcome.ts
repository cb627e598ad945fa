/** How a call ends without an answer of the tree. */
import type { MetadataError, MetadataErrorCode } from '../../protocol/metadata-operation.ts'

export function failure(code: MetadataErrorCode, message: string): MetadataError {
  return { code, message, operation: -1 }
}

export const NOT_IN_TIME: MetadataError = failure('unavailable', 'no master took it within its time')
export const ANSWER_LOST: MetadataError = failure('unknown', 'no answer came within its time: it may have been done')
export const TOO_MANY: MetadataError = failure('unavailable', 'too many calls of this session are unanswered')
