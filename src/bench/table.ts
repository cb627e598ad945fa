/** Rows and columns as text for people. */

export function textTable(titles: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const lines = [titles, ...rows]
  const widths = titles.map((_, column) => Math.max(...lines.map((line) => line[column].length)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** What a study gives back. */
export interface Study {
  readonly rows: readonly object[]
  readonly table: string
}
