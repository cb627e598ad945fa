/**
 * What is printed for a command's result. `text`: for people, all of it to stdout. `raw`: replies to stdout, errors to stderr.
 * `json`: one line a command to stdout.
 */
import { failureLine } from '../../platform/failure.ts'
import type { RespList } from '../resp-value.ts'
import type { Result } from './command-session.ts'
import type { Palette } from './palette.ts'
import { replyJson } from './reply-json.ts'
import { replyRaw } from './reply-raw.ts'
import { pageText, printable, replyText } from './reply-text.ts'
import { serverError } from './server-error.ts'

export type Format = 'text' | 'raw' | 'json'

export interface Output {
  readonly stdout: string | Buffer
  readonly stderr: string
}

const NOTHING: Output = { stdout: '', stderr: '' }

export function resultOutput(result: Result, format: Format, palette: Palette): Output {
  switch (result.kind) {
    case 'reply':
      return replyOutput(result, format, palette)
    case 'failure': {
      const line = printable(failureLine(result.failure))
      if (format === 'text') return { stdout: `${palette.error(`(error) ${line}`)}\n`, stderr: '' }
      const stdout = format === 'json' ? `${JSON.stringify({ error: result.failure })}\n` : ''
      return { stdout, stderr: `quorate: ${line}\n` }
    }
    case 'text':
      return { stdout: `${format === 'json' ? JSON.stringify(result.text) : result.text}\n`, stderr: '' }
    default:
      return NOTHING
  }
}

export function pushOutput(value: RespList, format: Format, palette: Palette): Output {
  if (format === 'raw') return { stdout: replyRaw(value), stderr: '' }
  return { stdout: `${format === 'json' ? replyJson(value) : replyText(value, palette)}\n`, stderr: '' }
}

function replyOutput(result: Result & { kind: 'reply' }, format: Format, palette: Palette): Output {
  const { value, shorthand, isPage } = result
  if (format === 'json') return { stdout: `${replyJson(value)}\n`, stderr: '' }
  const mend = value.kind === 'error' ? serverError(value.text).mend : undefined
  if (format === 'raw') {
    if (value.kind !== 'error') return { stdout: replyRaw(value), stderr: '' }
    return { stdout: '', stderr: `quorate: ${printable(value.text)}${mend === undefined ? '' : `; ${mend}`}\n` }
  }
  if (isPage && value.kind === 'bulk') return { stdout: `${pageText(value.bytes)}\n`, stderr: '' }
  const text = shorthand?.answer(value, palette) ?? replyText(value, palette)
  return { stdout: `${text}\n${mend === undefined ? '' : `${palette.dim(`  ${mend}`)}\n`}`, stderr: '' }
}
