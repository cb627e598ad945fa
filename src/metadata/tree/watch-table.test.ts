import { describe, expect, it } from 'vitest'
import { EPHEMERAL } from '../../protocol/metadata-operation.ts'
import { create, remove, set } from '../metadata-harness.testkit.ts'
import { TreeDriver } from './tree-driver.testkit.ts'
import { WatchTable } from './watch-table.ts'

/** A table that is told by a state machine, with turns that the test ends. */
function world(watchesMax?: number) {
  const deferred: (() => void)[] = []
  const table = new WatchTable((callback) => deferred.push(callback), watchesMax)
  const driver = new TreeDriver(
    {},
    {
      changed: (change) => table.changed(change),
      sessionOpened() {},
      sessionEnded() {},
      everythingChanged: () => table.everythingChanged(),
    },
  )
  let calls: string[] = []
  const turn = (): string[] => {
    for (const callback of deferred.splice(0)) callback()
    const made = calls
    calls = []
    return made
  }
  const watch = (kind: 'node' | 'children' | 'tree', path: string) =>
    table.watch(kind, path, () => calls.push(`${kind} ${path}`))
  return { table, driver, turn, watch, deferred }
}

describe('watches', () => {
  it('call whom a change concerns, and nobody else', () => {
    const { driver, turn, watch } = world()
    for (const path of ['/', '/a', '/a/b', '/ab'])
      for (const kind of ['node', 'children', 'tree'] as const) watch(kind, path)
    expect(turn()).toHaveLength(12)
    expect(turn()).toEqual([])
    driver.multi(0, create('/a'))
    expect(turn()).toEqual(['node /a', 'children /a', 'tree /a', 'tree /', 'children /'])
    driver.multi(0, create('/a/b'))
    expect(turn()).toEqual(['node /a/b', 'children /a/b', 'tree /a/b', 'tree /a', 'tree /', 'children /a'])
    driver.multi(0, set('/a/b', 'x'))
    expect(turn()).toEqual(['node /a/b', 'tree /a/b', 'tree /a', 'tree /'])
    driver.multi(0, remove('/a/b'))
    expect(turn()).toEqual(['node /a/b', 'children /a/b', 'tree /a/b', 'tree /a', 'tree /', 'children /a'])
    driver.multi(0, set('/', 'x'))
    expect(turn()).toEqual(['node /', 'tree /'])
    driver.multi(0, set('/a', 'x'), create('/a'))
    driver.read('get', '/a')
    expect(turn()).toEqual([])
  })

  it('make one call of all changes of a turn, for each watch by itself', () => {
    const { driver, turn, watch, deferred } = world()
    watch('node', '/a')
    watch('node', '/a')
    turn()
    driver.multi(0, create('/a'), set('/a', '1'), set('/a', '2'))
    driver.multi(0, set('/a', '3'))
    driver.multi(0, remove('/a'))
    expect(deferred).toHaveLength(1)
    expect(turn()).toEqual(['node /a', 'node /a'])
  })

  it('what a listener causes is the next turn; what it stops is silent in this one', () => {
    const { driver, turn, table, deferred } = world()
    const calls: string[] = []
    let stopLast = (): void => {}
    table.watch('node', '/a', () => {
      calls.push('first')
      if (calls.length > 4) return
      driver.multi(0, set('/a', 'again'))
      stopLast()
    })
    table.watch('node', '/b', () => calls.push('other'))
    stopLast = table.watch('node', '/a', () => calls.push('stopped'))
    driver.multi(0, create('/a'))
    turn()
    expect(calls).toEqual(['first', 'other'])
    while (deferred.length > 0) turn()
    expect(calls).toEqual(['first', 'other', 'first', 'first', 'first'])
    expect(table.count).toBe(2)
  })

  it('after another state was taken over everything counts as changed', () => {
    const { driver, turn, watch } = world()
    watch('node', '/a')
    watch('tree', '/somewhere/else')
    const stop = watch('children', '/')
    turn()
    driver.restart()
    expect(turn()).toEqual(['node /a', 'children /', 'tree /somewhere/else'])
    stop()
    driver.restart()
    expect(turn()).toEqual(['node /a', 'tree /somewhere/else'])
  })

  it('tell of the ephemeral nodes of a session that ended', () => {
    const { driver, turn, watch } = world()
    const session = driver.open()
    driver.multi(session, create('/e', '', EPHEMERAL))
    watch('node', '/e')
    watch('children', '/')
    turn()
    driver.expire(session)
    expect(turn()).toEqual(['node /e', 'children /'])
  })

  it('are bounded, and leave nothing behind', () => {
    const { table, turn, watch } = world(3)
    const stops = [watch('node', '/a'), watch('node', '/a'), watch('tree', '/b')]
    expect(() => watch('node', '/c')).toThrow('watches: more than 3')
    for (const stop of [...stops, ...stops]) stop()
    expect(table.count).toBe(0)
    watch('node', '/a')
    table.stopAll()
    expect(table.count).toBe(0)
    table.everythingChanged()
    expect(turn()).toEqual([])
    watch('node', '/a')
    expect(turn()).toEqual(['node /a'])
  })
})
