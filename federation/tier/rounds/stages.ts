// Where the tiers of a tree differ in running a campaign: what it starts with, what a round opens from, and what a commit leads
// to. The hub compiles, opens what the operator planned and merges; an edge controller takes each of the three from its parent.
import type { AttemptRecord } from '../store/records.ts'
import type { Campaign } from './campaign.ts'
import type { Round } from './round.ts'

export interface Stages {
  /**
   * Saves what is due before the round is looked at: what the campaign works with, or why it never can. Called before every pass;
   * the runner tries again when it rejects.
   */
  prepare(campaign: Campaign): Promise<void>
  /** The attempt that is to be opened now; undefined when there is none. The caller has the campaign locked. */
  attemptToOpen(campaign: Campaign, nowMs: number): AttemptRecord | undefined
  /**
   * Carries a committed round on. It has a result, or the campaign a failure, when this returns true; false: somebody else brings
   * the result and calls `changed`.
   */
  afterCommit(campaign: Campaign, round: Round): Promise<boolean>
}
