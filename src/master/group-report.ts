/**
 * A group's word on its members, written by its leader without a master. Reports are ordered by the configuration's index in the group's log: an older
 * one, of a leader that was deposed, changes nothing.
 */
import type { GroupId } from '../base/brand.ts'
import type { MetadataStore } from '../ports/metadata-store.ts'
import { type MetadataOperation, PERSISTENT } from '../protocol/metadata-operation.ts'
import { decodeReport, encodeReport, type GroupReport } from './registrations.ts'
import { reportPath } from './tree-layout.ts'
import { TreeReads } from './tree-reads.ts'

/** `stale`: a later report stands there. `retry`: not known to be written; the caller calls again later. */
export type ReportResult = 'written' | 'stale' | 'retry'

export function writeReport(
  store: MetadataStore,
  group: GroupId,
  report: GroupReport,
  done: (result: ReportResult) => void,
): void {
  const path = reportPath(group)
  const data = encodeReport(report)
  const reads = new TreeReads(store)
  let operation: MetadataOperation | 'stale' | 'written' = { kind: 'create', path, data, options: PERSISTENT }
  reads.end((error) => {
    if (error !== null) return done('retry')
    if (operation === 'stale' || operation === 'written') return done(operation)
    // Over the version that was read: of two leaders that write at once one reads again.
    store.multi([operation], (writeError) => done(writeError === null ? 'written' : 'retry'))
  })
  reads.sync(() => {
    const decode = (bytes: Uint8Array): GroupReport => decodeReport(group, bytes)
    reads.find(path, decode, (node) => {
      if (node === null) return
      const { index, leader } = node.value
      if (index > report.index) operation = 'stale'
      else if (index === report.index && leader === report.leader) operation = 'written'
      else operation = { kind: 'set', path, data, version: node.version }
    })
  })
}
