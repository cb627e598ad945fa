/** What the contract suite needs of a MetadataStore's surroundings, and the store's calls as promises. */
import { present } from '../base/assert.ts'
import { EMPTY_BYTES, latin1Bytes } from '../base/bytes.ts'
import type { Done, MetadataStore } from '../ports/metadata-store.ts'
import {
  ANY_VERSION,
  type CreateOptions,
  type MetadataError,
  type MetadataNode,
  type MetadataOperation,
  type MetadataPath,
  type MetadataResult,
  type NodeStat,
  PERSISTENT,
} from '../protocol/metadata-operation.ts'

export interface MetadataHarness {
  /** An empty node of this harness alone; the suite works below it. */
  readonly base: MetadataPath
  /** Another session, connected. */
  open(): Promise<MetadataStore>
  /** The server ends the session, whether it is connected or not. */
  expire(store: MetadataStore): Promise<void>
  /** Cuts the session's connection; resolves once the store knows. The session itself lives on. */
  suspend(store: MetadataStore): Promise<void>
  /** Mends it; resolves once the store is connected, or knows that its session is over. */
  resume(store: MetadataStore): Promise<void>
  /** Until everything that has been called for or caused has happened at every connected store, watches included. */
  settle(): Promise<void>
  end(): Promise<void>
}

export interface Outcome<T> {
  readonly error: MetadataError | null
  readonly result: T | null
}

export function outcome<T>(call: (done: Done<T>) => void): Promise<Outcome<T>> {
  return new Promise((resolve) => call((error, result) => resolve({ error, result })))
}

async function succeeded<T>(call: (done: Done<T>) => void): Promise<T> {
  const { error, result } = await outcome(call)
  if (error !== null) throw new Error(`${error.code}: ${error.message} (operation ${error.operation})`)
  return present(result, 'neither an error nor a result')
}

export const bytes = latin1Bytes

export const create = (path: MetadataPath, text = '', options: CreateOptions = PERSISTENT): MetadataOperation => ({
  kind: 'create',
  path,
  data: text === '' ? EMPTY_BYTES : bytes(text),
  options,
})
export const set = (path: MetadataPath, text: string, version = ANY_VERSION): MetadataOperation => ({
  kind: 'set',
  path,
  data: bytes(text),
  version,
})
export const remove = (path: MetadataPath, version = ANY_VERSION): MetadataOperation => ({
  kind: 'delete',
  path,
  version,
})
export const check = (path: MetadataPath, version = ANY_VERSION): MetadataOperation => ({
  kind: 'check',
  path,
  version,
})

/** Calls that must succeed. */
export const multi = (store: MetadataStore, ...operations: MetadataOperation[]): Promise<readonly MetadataResult[]> =>
  succeeded((done) => store.multi(operations, done))
export const get = (store: MetadataStore, path: MetadataPath): Promise<MetadataNode> =>
  succeeded((done) => store.get(path, done))
export const children = (store: MetadataStore, path: MetadataPath): Promise<readonly string[]> =>
  succeeded((done) => store.children(path, done))
export const sync = (store: MetadataStore): Promise<true> => succeeded((done) => store.sync(done))
export const close = (store: MetadataStore): Promise<void> => new Promise((resolve) => store.close(resolve))

export async function exists(store: MetadataStore, path: MetadataPath): Promise<NodeStat | null> {
  const { error, result } = await outcome<NodeStat>((done) => store.exists(path, done))
  if (error !== null) throw new Error(`${error.code}: ${error.message}`)
  return result
}

/** The path and stat of one node made by one write. */
export async function made(
  store: MetadataStore,
  path: MetadataPath,
  text = '',
  options: CreateOptions = PERSISTENT,
): Promise<{ readonly path: MetadataPath; readonly stat: NodeStat }> {
  const [result] = await multi(store, create(path, text, options))
  if (result.kind !== 'created') throw new Error(`a create answered ${result.kind}`)
  return result
}

/** The error of a write that must fail. */
export async function refusal(store: MetadataStore, ...operations: MetadataOperation[]): Promise<MetadataError> {
  const { error } = await outcome<readonly MetadataResult[]>((done) => store.multi(operations, done))
  return present(error, 'a write that had to fail was done')
}

/** `text` of the node's data, as another session sees it once it has caught up. */
export async function textAt(store: MetadataStore, path: MetadataPath): Promise<string | null> {
  await sync(store)
  if ((await exists(store, path)) === null) return null
  return String.fromCharCode(...(await get(store, path)).data)
}
