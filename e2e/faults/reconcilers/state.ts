// The end state by which a run is judged: every object of the namespace, what the hub holds, and how many objects were
// made and removed on the way, masked. Two runs that came to the same end give the same value.
import type { KubeObject } from '#operator/kube/types.ts'
import type { ScriptedHub } from '#operator/testing/scripted-hub.ts'
import { masked } from './mask.ts'
import type { Mask } from './mask.ts'
import { placeOf } from './world.ts'
import type { World } from './world.ts'

export type State = Record<string, unknown>

/** `opened`: every round that the hub was asked to open, once each. */
export function stateOf(
  { truth, made, gone }: World,
  hub: ScriptedHub,
  opened: ReadonlySet<string>,
  mask: Mask,
): State {
  const { rounds, models: edgeModels, profiles, pods } = truth
  const objects: KubeObject[] = [rounds, edgeModels, profiles, pods].flatMap((cache) => [...cache.values()])
  const campaigns = [...hub.campaigns.values()].map(({ plan, state }) => ({
    ...{ state, name: plan.name, training: plan.training, modelUid: plan.modelUid },
  }))
  const models = [...hub.models.values()].map(({ plan, state }) => ({ plan, state }))
  const whole = {
    objects: Object.fromEntries(
      objects
        .map((object): [string, KubeObject] => [placeOf(object), essence(object)])
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
    hub: { campaigns, models },
    made: counts(made),
    gone: counts(gone),
    opened: [...opened].sort(),
  }
  return JSON.parse(masked(JSON.stringify(whole), mask)) as State
}

function counts(uids: ReadonlyMap<string, ReadonlySet<string>>): Record<string, number> {
  return Object.fromEntries(
    [...uids]
      .map(([place, each]): [string, number] => [place, each.size])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}

/**
 * An object without what the API server counts up by itself. `participants` of a campaign that has ended is the last
 * sight of a moving thing: pods that were about to connect when it ended.
 */
function essence(object: KubeObject): KubeObject {
  const metadata: Record<string, unknown> = { ...object.metadata }
  for (const field of ['resourceVersion', 'managedFields', 'generation'])
    Reflect.deleteProperty(metadata, field)
  const status = { ...(object as { status?: object }).status }
  Reflect.deleteProperty(status, 'participants')
  return { ...object, metadata, status } as unknown as KubeObject
}

/** The first field in which they differ, with both values; undefined when they are equal. */
export function firstDifferenceOf(wanted: unknown, found: unknown, path = ''): string | undefined {
  if (Object.is(wanted, found)) return undefined
  if (!isObject(wanted) || !isObject(found)) {
    return `${path}: wanted ${shown(wanted)}, found ${shown(found)}`
  }
  for (const field of new Set([...Object.keys(wanted), ...Object.keys(found)])) {
    const difference = firstDifferenceOf(
      wanted[field],
      found[field],
      path === '' ? field : `${path}.${field}`,
    )
    if (difference !== undefined) return difference
  }
  return undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 300)
}
