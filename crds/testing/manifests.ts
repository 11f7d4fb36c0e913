// The smallest manifests that are right, for tests to change one thing in.
import { API_VERSION } from '../names.ts'

export interface Manifest {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace: string }
  spec: Record<string, unknown>
}

const manifest = (kind: string, name: string, spec: Record<string, unknown>): Manifest => ({
  apiVersion: API_VERSION,
  kind,
  metadata: { name, namespace: 'default' },
  spec,
})

export const minimalRound = (spec: Record<string, unknown> = {}, name = 'digits'): Manifest =>
  manifest('FederatedRound', name, {
    modelRef: { name: 'digits' },
    dataset: 'digits',
    rounds: 3,
    participants: { profiles: ['gateway'] },
    training: { loss: { type: 'SoftmaxCrossEntropy' } },
    ...spec,
  })

export const minimalModel = (spec: Record<string, unknown> = {}, name = 'digits'): Manifest =>
  manifest('EdgeModel', name, { source: { storageUri: 'configmap://digits-model/model.onnx' }, ...spec })

export const minimalProfile = (spec: Record<string, unknown> = {}, name = 'gateway'): Manifest =>
  manifest('DeviceProfile', name, { nodeSelector: { matchLabels: { site: 'north' } }, ...spec })
