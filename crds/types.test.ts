// The same zod shapes give TypeScript its types and the reader its defaults: what a minimal manifest becomes.
import { readFileSync } from 'node:fs'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { parse } from 'yaml'
import { KINDS } from './definition.ts'
import { DeviceProfileSpec } from './device-profile.ts'
import { EdgeModelSpec } from './edge-model.ts'
import { FederatedRoundSpec, type FederatedRoundStatus } from './federated-round.ts'
import { minimalRound } from './testing/manifests.ts'

interface Manifest {
  kind: string
  spec: unknown
}

const documented = (): Manifest[] => {
  const page = readFileSync(new URL('../docs/api.md', import.meta.url), 'utf8')
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(
    ([, yaml]) => parse(yaml ?? '') as Manifest,
  )
  return blocks.filter(({ kind }) => KINDS.some((known) => known.kind === kind))
}

describe('a FederatedRound that says only what it must', () => {
  const spec = FederatedRoundSpec.parse(minimalRound().spec)

  it('gets every default', () => {
    expect(spec).toMatchObject({
      suspend: false,
      startDeadlineSeconds: 3600,
      publish: 'OnCompletion',
      completion: { minUpdates: 1, deadlineSeconds: 600, maxAttempts: 3 },
      training: {
        optimizer: { type: 'SGD', learningRate: 0.01 },
        epochs: 1,
        batchSize: 32,
        threads: 1,
        seed: 0,
      },
      evaluation: { holdoutFraction: 0.2, split: 'Tail', deadlineSeconds: 120 },
      aggregation: { strategy: { type: 'FedAvg' } },
      template: { tolerations: [{ key: 'node-role.kubernetes.io/edge', operator: 'Exists' }] },
    })
    expect(spec.until).toBeUndefined()
    expect(spec.activeDeadlineSeconds).toBeUndefined()
  })

  it('is typed by the shape', () => {
    expectTypeOf(spec.training.optimizer.type).toEqualTypeOf<
      'SGD' | 'Adam' | 'AdamW' | 'Adagrad' | 'RMSProp' | 'Yogi'
    >()
    expectTypeOf(spec.completion.minUpdates).toEqualTypeOf<number>()
    expectTypeOf(spec.activeDeadlineSeconds).toEqualTypeOf<number | undefined>()
    expectTypeOf<FederatedRoundStatus['phase']>().toEqualTypeOf<string | undefined>()
  })
})

describe('a data set', () => {
  const read = (hostPath: string): boolean =>
    DeviceProfileSpec.safeParse({
      nodeSelector: {},
      datasets: [{ name: 'digits', hostPath, labelColumns: ['label'] }],
    }).success

  it.each(['/srv/x.csv', '/srv/x.csv.gz', '/srv/data/north/x.v2.csv'])('may lie at %s', (hostPath) => {
    expect(read(hostPath)).toBe(true)
  })

  it.each(['/x.csv', '/x.csv.gz', '//x.csv', '/srv/../x.csv', '/srv/.csv', 'srv/x.csv', '/srv/x.csv/'])(
    'must not lie at %s: its folder is mounted, and a path is plain',
    (hostPath) => {
      expect(read(hostPath)).toBe(false)
    },
  )
})

describe('docs/api.md', () => {
  const shapes = {
    FederatedRound: FederatedRoundSpec,
    EdgeModel: EdgeModelSpec,
    DeviceProfile: DeviceProfileSpec,
  }

  it('shows one manifest a kind', () => {
    expect(
      documented()
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(Object.keys(shapes).sort())
  })

  it.each(documented())('$kind there is read without loss', ({ kind, spec }) => {
    const read = shapes[kind as keyof typeof shapes].safeParse(spec)
    const ellipsis = kind === 'EdgeModel' // its digest is shortened to sha256:…
    expect(read.error?.issues.map(({ path }) => path.join('.')) ?? []).toEqual(
      ellipsis ? ['source.digest'] : [],
    )
    if (read.success) expect(read.data).toMatchObject(spec as object)
  })
})
