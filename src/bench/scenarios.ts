/** What is measured: each scenario in the shapes of load that it names. The data is the same everywhere. */

/** Bytes of each value. */
export const VALUE_BYTES = 100
/** Keys are drawn at random from so many; as redis-benchmark writes them: "key:" and 12 digits. */
export const KEY_COUNT = 100_000

export interface LoadShape {
  readonly scenario: ScenarioName
  readonly operation: 'set' | 'get'
  readonly connections: number
  /** Operations that a connection has outstanding. */
  readonly pipeline: number
}

export const SCENARIO_NAMES = ['set', 'get', 'set-pipelined', 'get-pipelined'] as const
export type ScenarioName = (typeof SCENARIO_NAMES)[number]

const SHAPES: readonly LoadShape[] = [
  { scenario: 'set', operation: 'set', connections: 50, pipeline: 1 },
  { scenario: 'set', operation: 'set', connections: 200, pipeline: 1 },
  { scenario: 'get', operation: 'get', connections: 50, pipeline: 1 },
  { scenario: 'get', operation: 'get', connections: 200, pipeline: 1 },
  { scenario: 'set-pipelined', operation: 'set', connections: 50, pipeline: 16 },
  { scenario: 'get-pipelined', operation: 'get', connections: 50, pipeline: 16 },
]

export function shapesOf(scenarios: readonly ScenarioName[]): LoadShape[] {
  return SHAPES.filter((shape) => scenarios.includes(shape.scenario))
}

export function isScenario(name: string): name is ScenarioName {
  return SCENARIO_NAMES.some((known) => known === name)
}

/** Measurements of Quorate alone that are no rounds of one load. */
export const STUDY_NAMES = ['scale', 'migration'] as const
export type StudyName = (typeof STUDY_NAMES)[number]

export function isStudy(name: string): name is StudyName {
  return STUDY_NAMES.some((known) => known === name)
}
