// The suites in the order in which they run, the cheap ones first, and what each needs beforehand. The names are those
// of the vitest projects; "checks" are make targets, each counted as one test.

export interface VitestSuite {
  readonly name: 'unit' | 'loopback' | 'cluster' | 'story'
  readonly files: string
  /** Scripts that make ready what the suite takes for granted. */
  readonly prepare: readonly (readonly string[])[]
  readonly limitMinutes: number
}

const API_SERVER = ['e2e/cluster/main.ts', 'tools', '--for', 'apiserver']
const WHOLE_CLUSTER = ['e2e/cluster/main.ts', 'tools']
const IMAGES = ['e2e/images/build.ts']

export const CHECKS = 'checks'
export const CHECK_LIMIT_MINUTES = 10
export const PREPARE_LIMIT_MINUTES = 45

export const SUITES: readonly VitestSuite[] = [
  { name: 'unit', files: '**/*.test.ts', prepare: [], limitMinutes: 15 },
  { name: 'loopback', files: '**/*.loopback.test.ts', prepare: [], limitMinutes: 30 },
  { name: 'cluster', files: '**/*.cluster.test.ts', prepare: [API_SERVER], limitMinutes: 30 },
  { name: 'story', files: '**/*.story.test.ts', prepare: [WHOLE_CLUSTER, IMAGES], limitMinutes: 75 },
]
