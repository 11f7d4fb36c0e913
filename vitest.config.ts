// The four suites, told apart by file name (docs: CONTRIBUTING.md). A unit test opens no socket; a loopback test speaks
// to itself because a protocol is its subject; a cluster test has a real kube-apiserver; a story has a whole cluster.
import { configDefaults, defineConfig } from 'vitest/config'

const seconds = (n: number): number => n * 1000
const minutes = (n: number): number => seconds(60 * n)

const suffixed = (suffix: string): string[] => [`**/*.${suffix}.test.ts`]
const OTHER_SUITES = ['loopback', 'cluster', 'story'].flatMap(suffixed)
const NEVER = [...configDefaults.exclude, '.tributary/**', 'dist/**']

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...NEVER, ...OTHER_SUITES],
          setupFiles: ['./e2e/suites/no-sockets.ts'],
          testTimeout: seconds(30),
        },
      },
      {
        test: {
          name: 'loopback',
          include: suffixed('loopback'),
          exclude: NEVER,
          // These tests wait for each other's processes more than they compute: one file a processor leaves it idle.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
          testTimeout: seconds(60),
          hookTimeout: seconds(60),
        },
      },
      {
        test: {
          name: 'cluster',
          include: suffixed('cluster'),
          exclude: NEVER,
          fileParallelism: false,
          testTimeout: minutes(3),
          hookTimeout: minutes(5),
        },
      },
      {
        test: {
          name: 'story',
          include: suffixed('story'),
          exclude: NEVER,
          fileParallelism: false,
          sequence: { concurrent: false },
          testTimeout: minutes(20),
          hookTimeout: minutes(30),
        },
      },
    ],
  },
})
