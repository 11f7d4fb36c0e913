// Names that the API group, its objects and everything that reads them share.

export const GROUP = 'tributary.dev'
export const VERSION = 'v1alpha1'
export const API_VERSION = `${GROUP}/${VERSION}`

/** Finalizer on FederatedRounds and EdgeModels: their data in the hub are deleted before they are. */
export const FINALIZER = `${GROUP}/hub-data`

/** Labels on training pods and edge controllers; the last two on edge controllers alone. */
export const LABELS = {
  managedBy: 'app.kubernetes.io/managed-by',
  component: 'app.kubernetes.io/component',
  federatedRound: `${GROUP}/federated-round`,
  zone: `${GROUP}/zone`,
  epoch: `${GROUP}/epoch`,
} as const

/** Values of the label `component` on the pods that the operator makes. */
export const COMPONENTS = { training: 'training', controller: 'edge-controller' } as const
