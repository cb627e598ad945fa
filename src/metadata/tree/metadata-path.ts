/**
 * Paths of the metadata tree, by ZooKeeper's rules (its PathUtils.validatePath), so that a path that one implementation takes is good
 * in the other: "/" or "/name/name", no empty name, no "." and "..", none of the characters that ZooKeeper refuses. What is left lies in the basic
 * plane without surrogates, so the order of UTF-16 units is the order of the UTF-8 bytes.
 */
import type { MetadataPath } from '../../protocol/metadata-operation.ts'
import { utf8Length } from '../../protocol/metadata-text.ts'

export const ROOT_PATH: MetadataPath = '/'

const SEQUENCE_DIGITS = 10
/** The last number that ten digits can hold: beyond it names would not sort in their order. */
export const MAX_SEQUENCE = 9_999_999_999

/** What is wrong with it; null: nothing. */
export function pathProblem(path: MetadataPath, maxBytes: number): string | null {
  // Every unit takes at least a byte: an overlong path is refused before it is looked at.
  if (path.length > maxBytes || utf8Length(path) > maxBytes) return `longer than ${maxBytes} bytes`
  if (path === ROOT_PATH) return null
  if (!path.startsWith('/')) return 'does not begin with "/"'
  for (let from = 1; from <= path.length; ) {
    const slash = path.indexOf('/', from)
    const to = slash < 0 ? path.length : slash
    const problem = nameProblem(path.slice(from, to))
    if (problem !== null) return problem
    from = to + 1
  }
  return null
}

/** A name is what stands between two slashes. */
export function nameProblem(name: string): string | null {
  if (name === '') return 'an empty name'
  if (name === '.' || name === '..') return `"${name}" is no name`
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code === 0x2f || !isAllowed(code)) return `the character U+${code.toString(16).padStart(4, '0')}`
  }
  return null
}

/** Not control characters, surrogates, the private use area and the specials. */
function isAllowed(code: number): boolean {
  return code >= 0x20 && (code < 0x7f || code > 0x9f) && (code < 0xd800 || code > 0xf8ff) && code < 0xfff0
}

/** Of a path that is not the root. */
export function parentOf(path: MetadataPath): MetadataPath {
  const slash = path.lastIndexOf('/')
  return slash <= 0 ? ROOT_PATH : path.slice(0, slash)
}

export function nameOf(path: MetadataPath): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

export function childPath(parent: MetadataPath, name: string): MetadataPath {
  return parent === ROOT_PATH ? `/${name}` : `${parent}/${name}`
}

/** The name of a sequential node ends in ten digits; what is asked for may be the digits alone ("/kv/masters/"). */
export function sequentialPath(prefix: MetadataPath, sequence: number): MetadataPath {
  return prefix + String(sequence).padStart(SEQUENCE_DIGITS, '0')
}
