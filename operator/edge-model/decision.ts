// The vocabulary between observe, decide and act of an EdgeModel.
import type { EdgeModelStatus } from '#crds/edge-model.ts'
import type { ModelPlan, ModelState } from '#federation/wire/generated/tributary.ts'
import type { FromHub } from '#operator/hub-client/from-hub.ts'
import type { EdgeModel, NodeView } from '#operator/objects.ts'

export interface Observation {
  now: number
  model: EdgeModel
  nodes: NodeView[]
  hub: FromHub<ModelState>
}

export type Action =
  | { kind: 'addFinalizer' }
  | { kind: 'removeFinalizer' }
  | { kind: 'applyModel'; plan: ModelPlan }
  | { kind: 'deleteModel'; uid: string }

export interface Decision {
  actions: Action[]
  status?: EdgeModelStatus
  requeueAfterMs?: number
}
