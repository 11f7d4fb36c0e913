// The frame that the three kinds share: observe, decide, write the status, tell people, act. The status is written
// first: it says what was seen, which stays true whatever acting does.
import type { EventFact } from './events.ts'
import type { KubeClient } from './kube/api.ts'
import { ensureStatus } from './kube/apply.ts'
import type { ReconcileResult } from './kube/controller.ts'
import { ApiError, isConflict, messageOf } from './kube/errors.ts'
import type { EventRecorder } from './kube/events.ts'
import type { KubeObject, ObjectRef, ResourceType } from './kube/types.ts'
import { refOf } from './kube/types.ts'
import type { ObjectIdentity } from './objects.ts'

export interface Outcome<Status, Action> {
  actions?: Action[]
  /** Absent: leave the status alone. */
  status?: Status
  requeueAfterMs?: number
}

export interface Reconciler<Seen, Status, Action> {
  type: ResourceType<KubeObject>
  /** Undefined when the object is gone. */
  observe: (ref: ObjectRef) => Promise<Seen | undefined>
  subject: (seen: Seen) => ObjectIdentity & { status: Status | undefined }
  decide: (seen: Seen) => Outcome<Status, Action>
  transitions: (before: Status | undefined, after: Status) => EventFact[]
  act: (action: Action, seen: Seen) => Promise<void>
  /** Actions whose failure does not stop those after them; the pass fails all the same, and comes again. */
  isOptional?: (action: Action) => boolean
}

export interface ReconcileContext {
  client: KubeClient
  events: EventRecorder
}

/** One pass over one key. */
export async function reconcile<Seen, Status extends object, Action>(
  reconciler: Reconciler<Seen, Status, Action>,
  context: ReconcileContext,
  key: string,
): Promise<ReconcileResult> {
  const seen = await reconciler.observe(refOf(key))
  if (!seen) return {}
  const { actions = [], status, requeueAfterMs } = reconciler.decide(seen)
  const failures: unknown[] = []
  const attempt = async (work: () => Promise<void>, goOn: (error: unknown) => boolean): Promise<void> => {
    try {
      await work()
    } catch (error) {
      if (!isConflict(error)) tellFailure(reconciler, context, seen, messageOf(error))
      if (!goOn(error)) throw error
      failures.push(error)
    }
  }
  if (status) {
    const write = () => writeStatus(reconciler, context, reconciler.subject(seen), status)
    await attempt(write, isInvalid)
  }
  for (const action of actions) {
    await attempt(
      () => reconciler.act(action, seen),
      () => reconciler.isOptional?.(action) ?? false,
    )
  }
  if (failures.length > 0) throw failures[0]
  return { requeueAfterMs }
}

/** A status that the API server will never take must not stop the work that it tells of. */
function isInvalid(error: unknown): boolean {
  return error instanceof ApiError && error.status === 422
}

/** A failure that only the log knows is invisible to the person who asked for the work. */
function tellFailure<Seen, Status, Action>(
  { type, subject }: Reconciler<Seen, Status, Action>,
  { events }: ReconcileContext,
  seen: Seen,
  note: string,
): void {
  events.record(identityOf(type, subject(seen)), { type: 'Warning', reason: 'ActionFailed', note })
}

function identityOf(
  type: ResourceType<KubeObject>,
  { namespace, name, uid, resourceVersion }: ObjectIdentity,
): KubeObject {
  return { apiVersion: type.apiVersion, kind: type.kind, metadata: { namespace, name, uid, resourceVersion } }
}

async function writeStatus<Seen, Status extends object, Action>(
  { type, transitions }: Reconciler<Seen, Status, Action>,
  { client, events }: ReconcileContext,
  subject: ObjectIdentity & { status: Status | undefined },
  status: Status,
): Promise<void> {
  const observed = { ...identityOf(type, subject), status: subject.status }
  const written = await ensureStatus(client, type as ResourceType<typeof observed>, observed, status)
  if (written === observed) return
  for (const fact of transitions(subject.status, status)) events.record(observed, fact)
}
