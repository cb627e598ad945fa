import { describe } from 'vitest'
import { contractSuite } from '../store/base-file-contract.testkit.ts'
import { makeSimBed } from './sim-base-file.testkit.ts'

describe('the base file contract on the simulated base file', () => {
  contractSuite(async () => makeSimBed(1))
})
