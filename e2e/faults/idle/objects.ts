// What lies in the cluster while nothing happens. Pure.
import { API_VERSION } from '#crds/names.ts'

export const NODES = ['edge-1', 'edge-2', 'edge-3'] as const

const NAMESPACE = 'city'

/** The status that a kubelet writes again and again; only the heartbeat moves. */
export function heartbeat(at: string): object {
  const lastTransitionTime = '2026-01-01T00:00:00Z'
  return {
    status: { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime, lastHeartbeatTime: at }] },
  }
}

export function manifests(model: Uint8Array): object[] {
  const own = (kind: string, name: string, spec: object): object => ({
    ...{ apiVersion: API_VERSION, kind, metadata: { name, namespace: NAMESPACE }, spec },
  })
  const campaign = (name: string, spec: object): object =>
    own('FederatedRound', name, {
      ...{ modelRef: { name: 'digits' }, dataset: 'digits', participants: { profiles: ['gateway'] } },
      ...{ rounds: 3, completion: { minUpdates: 2, deadlineSeconds: 7200 } },
      ...{ training: { loss: { type: 'SoftmaxCrossEntropy' } }, ...spec },
    })
  const datasets = [{ name: 'digits', hostPath: '/srv/digits/samples.csv', labelColumns: ['label'] }]
  const edge = { matchLabels: { tier: 'edge' } }
  return [
    ...NODES.map((name) => ({
      ...{ apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { tier: 'edge' } } },
    })),
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: NAMESPACE } },
    {
      ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'digits', namespace: NAMESPACE } },
      binaryData: { 'model.onnx': Buffer.from(model).toString('base64') },
    },
    own('DeviceProfile', 'gateway', { nodeSelector: edge, datasets }),
    own('EdgeModel', 'digits', {
      source: { storageUri: 'configmap://digits/model.onnx' },
      serving: { nodeSelector: edge },
    }),
    campaign('running', {}),
    campaign('waiting', { participants: { profiles: ['nobody'] } }),
    campaign('suspended', { suspend: true }),
    campaign('failed', { participants: { profiles: ['nobody'] }, startDeadlineSeconds: 1 }),
  ]
}
