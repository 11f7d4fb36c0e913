// The reasons with which a training pod reports that it could not do what it was asked, and what each means. The list
// is complete: docs/edge.md shows it, and nothing else goes up as a reason.

export const FAILURE_REASONS = {
  DatasetUnreadable:
    'The data set cannot be read on the node: the file is missing, not a CSV file, too large, or a cell is not a finite number.',
  DatasetMismatch:
    "The data set does not fit the model: another number of feature or label columns, labels outside the loss's range, or too few rows for a held-out part.",
  TrainingDiverged: 'The loss or a parameter became infinite or not a number during training.',
  GraphsUnusable:
    'The compiled graphs or the parameters could not be loaded: the manifest does not fit them, or ONNX Runtime refuses them.',
  BlobRefused: 'The hub does not have, or does not give out, a blob that the assignment names.',
  DiskUnusable: "The pod's work folder cannot be written: it is full, read-only or not permitted.",
  UpdateRefused: 'The hub refused the finished update; the message holds its reason.',
  TrainerCrashed: 'The thread that trains ended without an answer, most often for want of memory.',
  InternalError: 'Something that should not happen; the message has what is known.',
} as const

export type FailureReason = keyof typeof FAILURE_REASONS

/**
 * A failure that is reported upward. The message leaves the node, so it never quotes a value of the data set; what
 * may only be read on the node itself goes into `local`.
 */
export class TrainingFailure extends Error {
  override readonly name = 'TrainingFailure'
  readonly reason: FailureReason
  readonly local: string | undefined

  constructor(reason: FailureReason, message: string, local?: string) {
    super(message)
    this.reason = reason
    this.local = local
  }
}

const DISK_ERRORS = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EIO'])

export function asTrainingFailure(error: unknown): TrainingFailure {
  if (error instanceof TrainingFailure) return error
  const message = error instanceof Error ? error.message : String(error)
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? ''
  return new TrainingFailure(DISK_ERRORS.has(code) ? 'DiskUnusable' : 'InternalError', message)
}
