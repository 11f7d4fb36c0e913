/** Where the victim was killed, and what came of it. */
export interface Point {
  readonly round: number
  /** In words: at which operation on the disk, or after how long. */
  readonly where: string
  readonly phase: string
  /** Updates that were accepted when it died. */
  readonly accepted: number
  /** From when the process was back to the first new step of the round. */
  readonly resumedMs: number
  /** From when the process was back to the end of the round. */
  readonly endedMs: number
  readonly findings: readonly string[]
}
