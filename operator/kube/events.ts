// Kubernetes Events for people.

import type { ObjectMeta } from './types.ts'

export interface EventSubject {
  apiVersion: string
  kind: string
  metadata: Pick<ObjectMeta, 'name' | 'namespace' | 'uid'>
}

export interface EventDraft {
  type: 'Normal' | 'Warning'
  /** CamelCase, from a documented list. */
  reason: string
  /** What was done or tried, CamelCase; the reason unless told. */
  action?: string | undefined
  note: string
}

export interface EventRecorder {
  /** Returns at once and never throws. */
  record(regarding: EventSubject, draft: EventDraft): void
  /** Writes what is pending; resolves when written or given up. */
  flush(): Promise<void>
}
