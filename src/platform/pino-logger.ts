/**
 * The Logger of a real process: one JSON line an event on stderr (stdout belongs to the machine-readable answers).
 * Written synchronously: the last line before a crash is the one that is wanted. So never on the hot path.
 */
import pino from 'pino'
import type { Logger } from '../ports/logger.ts'

export type LogLevel = 'silent' | 'error' | 'warn' | 'info'

export class PinoLogger implements Logger {
  readonly #pino: pino.Logger

  /** `bindings` stand in every line, the node id for one. `fd` is for tests. */
  constructor(level: LogLevel, bindings: Readonly<Record<string, unknown>> = {}, fd = 2) {
    const options: pino.LoggerOptions = {
      level,
      base: { ...bindings },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    }
    this.#pino = pino(options, pino.destination({ fd, sync: true }))
  }

  info(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#pino.info(fields, event)
  }

  warn(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#pino.warn(fields, event)
  }

  error(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#pino.error(fields, event)
  }
}
