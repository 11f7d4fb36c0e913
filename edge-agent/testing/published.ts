// Signed model versions for tests: real ONNX files that multiply their input by a factor, so that an answer shows which
// version gave it.
import { type KeyObject, generateKeyPairSync } from 'node:crypto'

import { type ModelVersionManifest, signManifest } from '#federation/artefact/manifest.ts'
import { floatTensor } from '#federation/training/graph.ts'
import { modelBytes, node, x } from '#federation/training/testdata/models.ts'
import { digestOf } from '#federation/wire/digest.ts'

import type { WantedModel } from '../agent/installer.ts'

export const KEYS = generateKeyPairSync('ed25519')

/** y = factor · x, for x of shape [batch, 3]. */
export function scalingModel(factor: number): Uint8Array {
  return modelBytes({
    nodes: [node('Mul', ['x', 'f'], 'y')],
    initializers: { f: floatTensor([factor], [1]) },
    inputs: [x('batch', 3)],
  })
}

export interface Published {
  readonly wanted: WantedModel
  readonly manifest: ModelVersionManifest
  readonly envelope: Uint8Array
  readonly model: Uint8Array
}

export interface PublishOptions {
  readonly namespace?: string
  readonly name?: string
  readonly version?: number
  readonly model?: Uint8Array
  readonly key?: KeyObject
  /** What is signed, where it differs from what is published. */
  readonly signed?: Partial<ModelVersionManifest>
}

/** The factor of a version is its number. */
export function publish(options: PublishOptions = {}): Published {
  const { namespace = 'city', name = 'traffic', version = 1, key = KEYS.privateKey } = options
  const model = options.model ?? scalingModel(version)
  const manifest: ModelVersionManifest = {
    namespace,
    name,
    version,
    model: { digest: digestOf(model), size: model.byteLength },
    created: '2026-01-01T00:00:00.000Z',
    metrics: {},
    participants: 3,
    samples: 100,
    ...options.signed,
  }
  const envelope = signManifest(manifest, key)
  const wanted = {
    namespace,
    name,
    version,
    manifest: { digest: digestOf(envelope), size: envelope.byteLength },
  }
  return { wanted, manifest, envelope, model }
}
