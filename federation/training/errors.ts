/*
 * The errors of this folder. A ModelError means that the bytes or the configuration are at fault and says
 * which field or operator, with what value, and what would be right: it can be shown to a person as it is.
 * TrainingDiverged means that training itself went wrong on otherwise good input.
 */

export class ModelError extends Error {
  override readonly name = 'ModelError'
}

export class TrainingDiverged extends Error {
  override readonly name = 'TrainingDiverged'
  /** The 1-based step whose result is not finite. */
  readonly step: number

  constructor(step: number, what: string) {
    super(`training diverged at step ${step}: ${what}; a smaller learning rate or scaled inputs would help`)
    this.step = step
  }
}
