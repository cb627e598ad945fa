/** The few colours of the prompt; none of them where the output is no terminal, or NO_COLOR is set (https://no-color.org). */
export interface Palette {
  readonly error: (text: string) => string
  readonly type: (text: string) => string
  readonly notice: (text: string) => string
  readonly dim: (text: string) => string
}

const plain = (text: string): string => text

export const PLAIN: Palette = { error: plain, type: plain, notice: plain, dim: plain }

const COLOURS: Palette = {
  error: (text) => `\u001b[31m${text}\u001b[39m`,
  type: (text) => `\u001b[36m${text}\u001b[39m`,
  notice: (text) => `\u001b[33m${text}\u001b[39m`,
  dim: (text) => `\u001b[2m${text}\u001b[22m`,
}

export function paletteFor(output: { readonly isTTY?: boolean }, environment: NodeJS.ProcessEnv): Palette {
  const wanted = output.isTTY === true && (environment.NO_COLOR ?? '') === '' && environment.TERM !== 'dumb'
  return wanted ? COLOURS : PLAIN
}
