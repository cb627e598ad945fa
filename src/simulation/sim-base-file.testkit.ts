/** Test beds on the simulated base file. */
import { assert } from '../base/assert.ts'
import type { BaseFileBed } from '../store/base-file-contract.testkit.ts'
import { Scheduler } from './scheduler.ts'
import { type SimBaseFileOptions, SimBaseFileStore } from './sim-base-file.ts'

export interface SimBed extends BaseFileBed {
  readonly files: SimBaseFileStore
  readonly scheduler: Scheduler
}

export function makeSimBed(seed: number, options?: SimBaseFileOptions): SimBed {
  const scheduler = new Scheduler(seed)
  const files = new SimBaseFileStore(scheduler, options)
  return {
    files,
    scheduler,
    path: 'node-1/replica-1',
    run(start) {
      return new Promise((resolve) => {
        let finished = false
        start((result) => {
          finished = true
          resolve(result)
        })
        while (!finished) assert(scheduler.step(), 'the scheduler ran dry before the callback')
      })
    },
    end: () => Promise.resolve(),
  }
}
