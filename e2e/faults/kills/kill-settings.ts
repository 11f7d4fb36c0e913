// What a campaign is whose processes are killed.
import type { BackoffOptions } from '#federation/wire/backoff.ts'
import type { VictimName } from './victim.ts'

export interface KillSettings {
  readonly seed: string
  readonly participants: number
  /** 0: everybody belongs to the hub. */
  readonly controllers: number
  /** Who dies; of the controllers it is always the same one. */
  readonly victim: VictimName
  /** Rounds in which it dies. */
  readonly points: number
  readonly backoff: BackoffOptions
  /** Modules that it loads first. */
  readonly preloads?: readonly URL[]
}
