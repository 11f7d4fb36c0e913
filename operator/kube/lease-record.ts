// What a Lease object says, and the next thing to write into it. Pure.

import type { Lease } from './resources.ts'
import type { ObjectRef, OwnerReference } from './types.ts'

export interface Claim {
  identity: string
  nowMs: number
  durationMs: number
  /** Of the lease that is made when there is none: with its owner it goes, too. */
  ownerReferences?: OwnerReference[] | undefined
}

export function holderOf(lease: Lease): string {
  return lease.spec?.holderIdentity ?? ''
}

export function isHeldBy(lease: Lease, identity: string): boolean {
  return holderOf(lease) === identity
}

/** Takes a lease that is free; `current` carries the version that makes this fail when somebody was faster. */
export function acquired(ref: ObjectRef, current: Lease | undefined, claim: Claim): Lease {
  const now = microTime(claim.nowMs)
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: current?.metadata ?? {
      name: ref.name,
      namespace: ref.namespace,
      ownerReferences: claim.ownerReferences,
    },
    spec: {
      holderIdentity: claim.identity,
      leaseDurationSeconds: Math.max(1, Math.ceil(claim.durationMs / 1000)),
      acquireTime: now,
      renewTime: now,
      leaseTransitions: current ? (current.spec?.leaseTransitions ?? 0) + 1 : 0,
    },
  }
}

export function renewed(current: Lease, claim: Claim): Lease {
  return { ...current, spec: { ...current.spec, renewTime: microTime(claim.nowMs) } }
}

export function released(current: Lease, nowMs: number): Lease {
  const spec = { ...current.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(nowMs) }
  return { ...current, spec }
}

/** metav1.MicroTime wants exactly six digits. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}
