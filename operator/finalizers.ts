// Our finalizer, added and removed on the object as it is now: the cached one is older than the status just written.
// What is read may be older still (a server that has not caught up). It is never taken for the truth that the object
// has gone or lacks the finalizer: that would end the work for good. It is a conflict, after which the cache decides.
import { FINALIZER } from '#crds/names.ts'
import type { KubeClient } from './kube/api.ts'
import { addFinalizer, removeFinalizer } from './kube/apply.ts'
import { ApiError } from './kube/errors.ts'
import { keyOf } from './kube/types.ts'
import type { KubeObject, ObjectRef, ResourceType } from './kube/types.ts'

export async function setFinalizer(
  client: KubeClient,
  type: ResourceType<KubeObject>,
  ref: ObjectRef & { uid: string },
  present: boolean,
): Promise<void> {
  const object = await client.get(type, { namespace: ref.namespace, name: ref.name })
  if (object?.metadata.uid !== ref.uid) throw notAsObserved(type, ref, 'has gone')
  if (present) {
    await addFinalizer(client, type, object, FINALIZER)
    return
  }
  if (!object.metadata.finalizers?.includes(FINALIZER)) throw notAsObserved(type, ref, 'lacks the finalizer')
  await removeFinalizer(client, type, object, FINALIZER)
}

function notAsObserved(type: ResourceType<KubeObject>, ref: ObjectRef, how: string): ApiError {
  const message = `${type.kind} ${keyOf(ref)} ${how} in what was read, and did not in what was observed`
  return new ApiError({ status: 409, reason: 'Conflict', message })
}
