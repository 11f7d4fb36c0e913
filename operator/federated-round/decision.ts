// The vocabulary between observe, decide and act of a FederatedRound.
import type { FederatedRoundStatus } from '#crds/federated-round.ts'
import type {
  AgentState,
  CampaignPlan,
  CampaignState,
  PublishRequest,
} from '#federation/wire/generated/tributary.ts'
import type { FromHub } from '#operator/hub-client/from-hub.ts'
import type { ControllerView, DeviceProfile, FederatedRound, NodeView, PodView } from '#operator/objects.ts'

export interface ModelView {
  uid: string
  admitted: 'Yes' | 'NotYet' | 'Refused'
  message: string
  /** What the nodes that serve the model have loaded; undefined while the hub is silent. */
  agents: AgentState[] | undefined
}

export interface Observation {
  now: number
  round: FederatedRound
  model: ModelView | undefined
  profiles: DeviceProfile[]
  missingProfiles: string[]
  nodes: NodeView[]
  /** Training pods. */
  pods: PodView[]
  /** Pods of edge controllers, of earlier epochs too. */
  controllers: ControllerView[]
  campaign: FromHub<CampaignState>
}

export type Action =
  | { kind: 'addFinalizer' }
  | { kind: 'removeFinalizer' }
  | { kind: 'createPod'; pod: TrainingPod }
  | { kind: 'createController'; controller: ControllerPod }
  | { kind: 'deletePod'; name: string; uid: string }
  | { kind: 'applyCampaign'; plan: CampaignPlan }
  /** Fails while there is a pod that the cache does not show yet. */
  | { kind: 'expectNoPods' }
  | { kind: 'deleteCampaign'; uid: string }
  | { kind: 'publishVersion'; request: PublishRequest }

/** What a training pod is made from; pod.ts turns it into a manifest. */
export interface TrainingPod {
  name: string
  node: string
  dataset: { hostPath: string; labelColumns: string[] }
  /** What transfers may take of the node's link; absent: all of it. */
  bytesPerSecond?: number
}

/** What an edge controller's pod is made from; controller-pod.ts turns it into a manifest. */
export interface ControllerPod {
  name: string
  node: string
  zone: string
  epoch: number
  /** What transfers to and from the hub may take of the node's link; absent: all of it. */
  bytesPerSecond?: number
}

export interface Decision {
  actions: Action[]
  /** Absent when the object is going away and nobody will read it. */
  status?: FederatedRoundStatus
  requeueAfterMs?: number
}
