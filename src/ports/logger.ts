/** Structured logs: a short event in plain words, and fields. Never on the hot path. */
export interface Logger {
  info(event: string, fields?: Readonly<Record<string, unknown>>): void
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void
  error(event: string, fields?: Readonly<Record<string, unknown>>): void
}

export const SILENT_LOGGER: Logger = { info() {}, warn() {}, error() {} }
