/*
 * The committed models are the documented ones, fit into a ConfigMap, and can be trained as their manifests say.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'

import { DeviceProfileSpec } from '#crds/device-profile.ts'
import { EdgeModelSpec } from '#crds/edge-model.ts'
import { FederatedRoundSpec } from '#crds/federated-round.ts'
import { assertTrainable, readModel } from '#federation/training/index.ts'

const CONFIG_MAP_LIMIT = 1024 * 1024

describe.each([{ example: 'digits' }, { example: 'traffic' }])('the example $example', ({ example }) => {
  const folder = join(import.meta.dirname, example)
  const model = readFileSync(join(folder, 'model.onnx'))
  const spec = (kind: string): unknown =>
    (parse(readFileSync(join(folder, `manifests/${kind}.yaml`), 'utf8')) as { spec: unknown }).spec

  it('has the model whose digest the manifest and the README name', () => {
    const digest = `sha256:${createHash('sha256').update(model).digest('hex')}`
    expect(EdgeModelSpec.parse(spec('edge-model')).source.digest).toBe(digest)
    expect(readFileSync(join(folder, 'README.md'), 'utf8')).toContain(digest)
  })

  it('has a model that fits into a ConfigMap and can be trained', () => {
    expect(Math.ceil(model.length / 3) * 4).toBeLessThan(CONFIG_MAP_LIMIT)
    assertTrainable(readModel(model))
  })

  it('has manifests that go together', () => {
    const round = FederatedRoundSpec.parse(spec('federated-round'))
    const profile = DeviceProfileSpec.parse(spec('device-profile'))
    expect(profile.datasets.map(({ name }) => name)).toContain(round.dataset)
    expect(profile.datasets.map(({ hostPath }) => hostPath)).toEqual([
      `/srv/tributary/${example}/samples.csv`,
    ])
    expect(EdgeModelSpec.parse(spec('edge-model')).source.storageUri).toBe(
      `configmap://${example}-model/model.onnx`,
    )
  })
})
