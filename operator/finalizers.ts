// Our finalizer, added and removed on the object as it is now: the cached one is older than the status just written.
import { FINALIZER } from '#crds/names.ts'
import type { KubeClient } from './kube/api.ts'
import { addFinalizer, removeFinalizer } from './kube/apply.ts'
import type { KubeObject, ObjectRef, ResourceType } from './kube/types.ts'

export async function setFinalizer(
  client: KubeClient,
  type: ResourceType<KubeObject>,
  ref: ObjectRef & { uid: string },
  present: boolean,
): Promise<void> {
  const object = await client.get(type, { namespace: ref.namespace, name: ref.name })
  if (object?.metadata.uid !== ref.uid) return
  await (present ? addFinalizer : removeFinalizer)(client, type, object, FINALIZER)
}
