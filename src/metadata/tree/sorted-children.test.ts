import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { SortedChildren } from './sorted-children.ts'

interface Child {
  readonly name: string
}

function namesOf(children: SortedChildren<Child>): string[] {
  return children.toArray().map(({ name }) => name)
}

describe('sorted children', () => {
  it('are those that were added and not removed, in the order of their names', () => {
    const change = fc.record({ remove: fc.boolean(), name: fc.string({ minLength: 1, maxLength: 2 }) })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
        const children = new SortedChildren<Child>()
        const model = new Map<string, Child>()
        for (const { remove, name } of changes) {
          const known = model.get(name)
          if (known !== undefined && remove) {
            model.delete(name)
            children.remove(known)
          } else if (known === undefined && !remove) {
            model.set(name, { name })
            children.add(model.get(name) ?? { name })
          }
          expect(children.size).toBe(model.size)
        }
        expect(namesOf(children)).toEqual([...model.keys()].sort())
      }),
    )
  })

  it.each(['rising', 'falling', 'mixed'])('a hundred thousand of them, %s', (order) => {
    const random = new Prng(1)
    const all = Array.from({ length: 100_000 }, (_, i) => ({ name: String(i).padStart(10, '0'), i }))
    const sequence = order === 'falling' ? [...all].reverse() : [...all]
    if (order === 'mixed') {
      for (let i = sequence.length - 1; i > 0; i--) {
        const other = random.below(i + 1)
        const one = sequence[i]
        sequence[i] = sequence[other]
        sequence[other] = one
      }
    }
    const children = new SortedChildren<Child>()
    for (const child of sequence) children.add(child)
    expect(children.toArray()).toEqual(all)
    for (const child of sequence) if (child.i % 3 > 0) children.remove(child)
    expect(children.toArray()).toEqual(all.filter(({ i }) => i % 3 === 0))
    for (const child of sequence) if (child.i % 3 === 0) children.remove(child)
    expect(children.toArray()).toEqual([])
    children.add({ name: 'again' })
    expect(namesOf(children)).toEqual(['again'])
  })

  it('refuse a name twice, and the removal of one that is not there', () => {
    const children = new SortedChildren<Child>()
    const a = { name: 'a' }
    children.add(a)
    expect(() => children.add({ name: 'a' })).toThrow('twice')
    expect(() => children.remove({ name: 'b' })).toThrow('no b')
    expect(() => children.remove({ name: 'a' })).toThrow('no a')
    children.remove(a)
    expect(() => children.remove(a)).toThrow('of none')
  })
})
