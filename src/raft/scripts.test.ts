/** Every script in scripts/ plays as it is written. `UPDATE_SCRIPTS=1` writes down what happens now; then read the difference. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { playScript } from './script.testkit.ts'

const folder = fileURLToPath(new URL('./scripts/', import.meta.url))
const names = readdirSync(folder).filter((name) => name.endsWith('.txt'))

describe('scripts of the raft core', () => {
  it('are there', () => {
    expect(names.length).toBeGreaterThan(20)
  })

  for (const name of names) {
    it(name.replace('.txt', '').replaceAll('-', ' '), () => {
      const text = readFileSync(folder + name, 'utf8')
      const played = playScript(text)
      if (process.env.UPDATE_SCRIPTS === '1') writeFileSync(folder + name, played)
      else expect(played).toBe(text)
    })
  }
})
