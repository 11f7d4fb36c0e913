import { describe, expect, it } from 'vitest'

import { API_VERSION, COMPONENTS, LABELS } from '#crds/names.ts'
import { Cache } from '#operator/kube/cache.ts'
import type { Pod } from '#operator/kube/resources.ts'
import type { KubeObject } from '#operator/kube/types.ts'
import type { FederatedRoundResource } from '#operator/resources.ts'
import { ScriptedHub } from '#operator/testing/scripted-hub.ts'
import { observe, type Sources } from './observe.ts'

const ref = { namespace: 'n', name: 'digits' }
const whole = <T>(object: T): T => object

const round = {
  apiVersion: API_VERSION,
  kind: 'FederatedRound',
  metadata: { ...ref, uid: 'uid', resourceVersion: '1' },
  spec: { participants: { profiles: [] }, modelRef: { name: 'digits' } },
  status: {
    tiers: [
      { zone: 'east', epoch: 2, node: 'a', pod: 'digits-2', podUid: 'uid-digits-2' },
      { zone: 'west', epoch: 1, node: 'b', pod: 'digits-1' },
    ],
  },
} as unknown as FederatedRoundResource

function controller(name: string): Pod {
  const labels = {
    ...{ [LABELS.federatedRound]: 'uid', [LABELS.component]: COMPONENTS.controller },
    ...{ [LABELS.zone]: 'east', [LABELS.epoch]: '2' },
  }
  const metadata = { namespace: 'n', name, uid: `uid-${name}`, resourceVersion: '1', labels }
  return { apiVersion: 'v1', kind: 'Pod', metadata }
}

/** @returns names of the controllers that are seen, and how often the API server was asked */
async function controllersSeen(cached: Pod[], live: Pod[]): Promise<{ names: string[]; asked: number }> {
  const cacheOf = <T extends KubeObject>(...objects: T[]): Cache<T> => {
    const cache = new Cache<T>((error) => {
      throw error
    })
    for (const object of objects) cache.receive({ type: 'applied', object }, whole)
    return cache
  }
  let asked = 0
  const sources: Sources = {
    ...{ rounds: cacheOf(round), models: cacheOf(), profiles: cacheOf(), nodes: cacheOf() },
    ...{ pods: cacheOf(...cached), hub: new ScriptedHub(), now: () => 0 },
    listPods: async ({ labelSelector }) => {
      expect(labelSelector).toBe(`${LABELS.federatedRound}=uid`)
      asked += 1
      return Promise.resolve(live)
    },
  }
  const seen = await observe(sources, ref)
  return { names: seen?.controllers.map(({ name }) => name) ?? [], asked }
}

describe('the edge controllers of a round', () => {
  it.each([
    {
      what: 'are those of the cache, when it shows all of them',
      ...{ cached: ['digits-2'], live: [], wanted: { names: ['digits-2'], asked: 0 } },
    },
    {
      what: 'are looked up when the status knows of one that the cache does not show',
      ...{ cached: [], live: ['digits-2', 'digits-9'], wanted: { names: ['digits-2'], asked: 1 } },
    },
    {
      what: 'are gone when the API server has them no more',
      ...{ cached: ['digits-1'], live: [], wanted: { names: ['digits-1'], asked: 1 } },
    },
  ])('$what', async ({ cached, live, wanted }) => {
    expect(await controllersSeen(cached.map(controller), live.map(controller))).toEqual(wanted)
  })
})
