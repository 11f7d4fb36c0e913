// Adding and removing our finalizer, each as one write with the object's resourceVersion as precondition, so that
// nobody else's finalizer is lost.
import { FINALIZER } from '#crds/names.ts'
import type { KubeClient } from './kube/api.ts'
import type { KubeObject, ObjectRef, ResourceType } from './kube/types.ts'

export async function setFinalizer(
  client: KubeClient,
  type: ResourceType<KubeObject>,
  ref: ObjectRef & { uid: string },
  present: boolean,
): Promise<void> {
  const object = await client.get(type, ref)
  if (object?.metadata.uid !== ref.uid) return
  const finalizers = object.metadata.finalizers ?? []
  if (finalizers.includes(FINALIZER) === present) return
  const wanted = present ? [...finalizers, FINALIZER] : finalizers.filter((entry) => entry !== FINALIZER)
  const { resourceVersion } = object.metadata
  await client.mergePatch(type, ref, { metadata: { resourceVersion, finalizers: wanted } })
}
