import { describe, expect, it } from 'vitest'
import { FINALIZER } from '#crds/names.ts'
import { setFinalizer } from './finalizers.ts'
import type { KubeClient } from './kube/api.ts'
import type { KubeObject } from './kube/types.ts'
import { federatedRounds } from './resources.ts'

const REF = { namespace: 'city', name: 'digits', uid: 'uid-1' }

/** A server that reads as given and remembers the finalizers that it was sent. */
function server(read: Partial<KubeObject['metadata']> | undefined) {
  const sent: unknown[] = []
  const object = read && {
    apiVersion: federatedRounds.apiVersion,
    kind: federatedRounds.kind,
    metadata: { name: 'digits', namespace: 'city', uid: 'uid-1', resourceVersion: '7', ...read },
  }
  const client = {
    get: () => Promise.resolve(object),
    mergePatch: (_type: unknown, _ref: unknown, patch: { metadata: { finalizers: string[] } }) => {
      sent.push(patch.metadata.finalizers)
      return Promise.resolve(object)
    },
  } as unknown as KubeClient
  return { client, sent }
}

describe('our finalizer', () => {
  it('is added beside those of others', async () => {
    const { client, sent } = server({ finalizers: ['other/one'] })
    await setFinalizer(client, federatedRounds, REF, true)
    expect(sent).toEqual([['other/one', FINALIZER]])
  })

  it('is removed and leaves those of others', async () => {
    const { client, sent } = server({ finalizers: ['other/one', FINALIZER] })
    await setFinalizer(client, federatedRounds, REF, false)
    expect(sent).toEqual([['other/one']])
  })

  // The server may be behind: what it does not show yet is looked for again, never given up.
  it.each([
    { read: 'an object without it', metadata: {}, present: false },
    { read: 'no object', metadata: undefined, present: false },
    { read: 'no object', metadata: undefined, present: true },
    { read: 'a predecessor', metadata: { uid: 'uid-0' }, present: true },
  ])('is a conflict when the read shows $read (present: $present)', async ({ metadata, present }) => {
    const { client, sent } = server(metadata)
    await expect(setFinalizer(client, federatedRounds, REF, present)).rejects.toMatchObject({
      isConflict: true,
    })
    expect(sent).toEqual([])
  })
})
