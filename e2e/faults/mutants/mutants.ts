// Wrong reconcilers, each wrong in one way that people get wrong. Data only: which words of which file are other words.

export interface Edit {
  /** From the repository's root. */
  file: string
  from: string
  to: string
}

export interface Mutant {
  name: string
  edits: readonly Edit[]
  /** Scenario in which it is looked for. */
  scenario: string
  /** Plans of that scenario whose line contains one of these; none: it must fall without a fault. */
  plans: readonly string[]
}

const DELETION = 'operator/federated-round/deletion.ts'
const DECIDE = 'operator/federated-round/decide.ts'
const ACT = 'operator/federated-round/act.ts'
const APPLY = 'operator/kube/apply.ts'
const CACHE = 'operator/kube/cache.ts'
const CONTROLLER = 'operator/kube/controller.ts'
const FINALIZERS = 'operator/finalizers.ts'

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'pods are named by chance',
    scenario: 'campaign',
    plans: ['delay at ADDED Pod'],
    edits: [
      {
        file: 'operator/federated-round/participants.ts',
        from: '.update(`${round.uid}/${node}`)',
        to: '.update(`${round.uid}/${node}/${performance.now()}`)',
      },
    ],
  },
  {
    name: 'pods are created on the event of the beginning only',
    scenario: 'campaign',
    plans: ['500 at POST pods', 'reset at POST pods'],
    edits: [
      {
        file: DECIDE,
        from: '    ...createPods(seen, wanted),\n',
        to: "    ...(seen.campaign.kind === 'known' && seen.campaign.state.known ? [] : createPods(seen, wanted)),\n",
      },
    ],
  },
  {
    name: 'pods are deleted by name, without a precondition',
    scenario: 'campaign',
    plans: [],
    edits: [{ file: ACT, from: 'name: action.name }, { uid: action.uid })', to: 'name: action.name })' }],
  },
  {
    name: 'effects come before the status',
    scenario: 'campaign',
    plans: [],
    edits: [
      {
        file: 'operator/reconcile.ts',
        from: '  if (status) {\n    const write',
        to: '  for (const action of actions) await reconciler.act(action, seen)\n  if (status) {\n    const write',
      },
    ],
  },
  {
    name: 'the finalizer of a FederatedRound goes before its data in the hub',
    scenario: 'campaign',
    plans: [],
    edits: [
      {
        file: DELETION,
        from: "[{ kind: 'expectNoPods' }, ...actions, { kind: 'removeFinalizer' }]",
        to: "[{ kind: 'expectNoPods' }, { kind: 'removeFinalizer' }, ...actions]",
      },
      {
        file: DELETION,
        from: "seen.campaign.kind === 'known' ? [campaign, ...pods] : [...pods, campaign]",
        to: 'allPods(seen).length > 0 ? pods : [campaign]',
      },
    ],
  },
  {
    name: 'the finalizer of an EdgeModel goes before its data in the hub',
    scenario: 'model',
    plans: [],
    edits: [
      {
        file: 'operator/edge-model/decide.ts',
        from: "[{ kind: 'deleteModel', uid: model.uid }, { kind: 'removeFinalizer' }]",
        to: "[{ kind: 'removeFinalizer' }, { kind: 'deleteModel', uid: model.uid }]",
      },
    ],
  },
  {
    name: 'the finalizer is set after the hub has heard',
    scenario: 'replaced',
    plans: [],
    edits: [
      {
        file: DECIDE,
        from: '[...finalizer, ...actionsFor(seen, situation, tree)]',
        to: '[...actionsFor(seen, situation, tree), ...finalizer]',
      },
    ],
  },
  {
    name: 'a conflict is ignored',
    scenario: 'campaign',
    plans: ['409 at PATCH federatedrounds', '409 at PATCH edgemodels'],
    edits: [
      {
        file: CONTROLLER,
        from: 'const retryInMs = Math.round(queue.fail(key, atLeastMs))',
        to: 'const retryInMs = isConflict(error) ? (queue.done(key), 0) : Math.round(queue.fail(key, atLeastMs))',
      },
    ],
  },
  {
    name: 'a pass that failed is forgotten',
    scenario: 'campaign',
    plans: ['500 at PATCH edgemodels', '500 at PATCH federatedrounds/digits #', '500 at DELETE pods'],
    edits: [
      {
        file: CONTROLLER,
        from: 'const retryInMs = Math.round(queue.fail(key, atLeastMs))',
        to: 'const retryInMs = (queue.done(key), Math.round(atLeastMs ?? 0))',
      },
    ],
  },
  {
    name: 'what vanished while the watch was away stays in the cache',
    scenario: 'repaired',
    plans: ['drop at DELETED Pod'],
    edits: [
      {
        file: CACHE,
        from: 'if (!this.#seen.has(key)) this.#drop(key, object)',
        to: 'if (!this.#seen.has(key) && !this.#isSynced) this.#drop(key, object)',
      },
    ],
  },
  {
    name: 'a list after the first is not looked at',
    scenario: 'campaign',
    plans: ['drop at MODIFIED FederatedRound', 'drop at MODIFIED EdgeModel', 'drop at ADDED'],
    edits: [
      {
        file: CACHE,
        from: '          this.#put(object, keep)\n        }',
        to: '          if (!this.#isSynced) this.#put(object, keep)\n        }',
      },
    ],
  },
  {
    name: 'a watch that failed is not taken up again',
    scenario: 'campaign',
    plans: ['drop at MODIFIED FederatedRound', 'drop at ADDED'],
    edits: [
      {
        file: 'operator/kube/watch.ts',
        from: '    if (!trouble) continue\n',
        to: '    if (result.failure) break\n    if (!trouble) continue\n',
      },
    ],
  },
  {
    name: 'the status is written at every pass',
    scenario: 'profile',
    plans: [],
    edits: [{ file: APPLY, from: 'if (equalValues(status, observed.status ?? {})) return observed', to: '' }],
  },
  {
    name: 'the status is written whatever changed meanwhile',
    scenario: 'profile',
    plans: [],
    edits: [
      {
        file: APPLY,
        from: 'const metadata = { name, namespace, uid, resourceVersion }\n',
        to: 'const metadata = { name, namespace, uid, ...(resourceVersion === undefined && { resourceVersion }) }\n',
      },
    ],
  },
  {
    name: 'pods have no owner',
    scenario: 'campaign',
    plans: [],
    edits: [
      {
        file: 'operator/federated-round/pod.ts',
        from: 'ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: false }]',
        to: 'ownerReferences: [owner].slice(1)',
      },
    ],
  },
  {
    name: 'the read before the removal of a finalizer is believed',
    scenario: 'campaign',
    plans: ['older at GET federatedrounds', 'oldest at GET federatedrounds', 'absent at GET'],
    edits: [
      {
        file: FINALIZERS,
        from: "if (object?.metadata.uid !== ref.uid) throw notAsObserved(type, ref, 'has gone')",
        to: 'if (object?.metadata.uid !== ref.uid) return',
      },
      {
        file: FINALIZERS,
        from: "if (!object.metadata.finalizers?.includes(FINALIZER)) throw notAsObserved(type, ref, 'lacks the finalizer')",
        to: '',
      },
    ],
  },
  {
    name: 'any answer to the removal of a finalizer is good enough',
    scenario: 'campaign',
    plans: ['500 at PATCH federatedrounds/digits #', 'reset at PATCH federatedrounds/digits #'],
    edits: [
      {
        file: APPLY,
        from: 'if (error instanceof ApiError && error.isNotFound) return',
        to: 'if (error instanceof ApiError) return',
      },
    ],
  },
  {
    name: 'a round is let go whatever pods the cache does not show yet',
    scenario: 'replaced',
    plans: ['delay at ADDED Pod'],
    edits: [{ file: DELETION, from: "[{ kind: 'expectNoPods' }, ", to: '[' }],
  },
  {
    name: 'a round is let go although the deletion of its pods was refused',
    scenario: 'replaced',
    plans: ['500 at DELETE pods', '409 at DELETE pods'],
    edits: [
      {
        file: DELETION,
        from: 'if (allPods(seen).length === 0)',
        to: 'if (allPods(seen).length >= 0)',
      },
      { file: DELETION, from: "[{ kind: 'expectNoPods' }, ...actions", to: '[...actions' },
    ],
  },
  {
    name: 'a hub that does not answer has forgotten everything',
    scenario: 'campaign',
    plans: ['refuse at getCampaign'],
    edits: [
      {
        file: 'operator/federated-round/observe.ts',
        from: 'campaign: await ask(() => sources.hub.getCampaign(round.uid)),',
        to: 'campaign: await ask(() => sources.hub.getCampaign(round.uid).catch(() => ({ uid: round.uid, known: false, history: [], participants: [], failureReason: "", modelUid: "", publishedVersion: 0, publishedRound: 0, baseVersion: 0, tiers: [] }) as never)),',
      },
    ],
  },
  {
    name: 'the epoch of an edge controller is told after its pod is made',
    scenario: 'zones',
    plans: [],
    edits: [
      {
        file: 'operator/reconcile.ts',
        from: '  if (status) {\n    const write',
        to: "  for (const action of actions) if ((action as { kind: string }).kind === 'createController') await reconciler.act(action, seen)\n  if (status) {\n    const write",
      },
    ],
  },
  {
    name: 'a training pod that failed is left as it is',
    scenario: 'repaired',
    plans: [],
    edits: [{ file: DECIDE, from: "|| pod.phase === 'Failed' ", to: '' }],
  },
]

export const NO_MUTANT: Mutant = { name: 'none, for comparison', scenario: '', plans: [], edits: [] }
