// What to do about an EdgeModel: a pure function of one observation. The hub admits the file, keeps its versions and
// hears the agents; this decides what it is told and what people are told.
import { FINALIZER } from '#crds/names.ts'
import type { ModelPlan } from '#federation/wire/generated/tributary.ts'
import type { EdgeModel, NodeView } from '#operator/objects.ts'
import { matches } from '#operator/selector.ts'
import type { Decision, Observation } from './decision.ts'
import { statusOf } from './status.ts'

/** How soon to look again while something is still to happen; the hub's change stream is usually faster. */
const LOOK_AGAIN_MS = 15_000

export function decide(seen: Observation): Decision {
  const { model } = seen
  const held = model.finalizers.includes(FINALIZER)
  if (model.deleting) {
    return { actions: held ? [{ kind: 'deleteModel', uid: model.uid }, { kind: 'removeFinalizer' }] : [] }
  }
  const serving = servingNodes(model, seen.nodes)
  const status = statusOf(seen, serving)
  const settled = status.phase === 'Ready' || status.phase === 'Refused'
  return {
    actions: [
      ...(held ? [] : [{ kind: 'addFinalizer' as const }]),
      // A hub that has just not answered would not answer this either.
      ...(seen.hub.kind === 'known'
        ? [{ kind: 'applyModel' as const, plan: modelPlan(model, serving) }]
        : []),
    ],
    status,
    ...(settled ? {} : { requeueAfterMs: LOOK_AGAIN_MS }),
  }
}

/** Nodes whose agent should serve the model, sorted by name; none without spec.serving. */
export function servingNodes(model: EdgeModel, nodes: NodeView[]): NodeView[] {
  const selector = model.spec.serving?.nodeSelector
  if (!selector) return []
  return nodes.filter((node) => matches(selector, node.labels)).sort((a, b) => (a.name < b.name ? -1 : 1))
}

function modelPlan(model: EdgeModel, serving: NodeView[]): ModelPlan {
  return {
    uid: model.uid,
    namespace: model.namespace,
    name: model.name,
    storageUri: model.spec.source.storageUri,
    digest: model.spec.source.digest ?? '',
    servingNodes: serving.map((node) => node.name),
  }
}
