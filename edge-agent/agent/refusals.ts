// Why a desired model version is not loaded. The list is complete: docs/api.md shows it, and nothing else is reported.

export const REFUSAL_REASONS = {
  DownloadFailed: 'The manifest or the model could not be fetched from the hub; it is tried again.',
  ManifestUntrusted: 'The manifest is malformed or no trusted key signed it.',
  ManifestMismatch: 'The manifest is signed, but for another namespace, name or version.',
  VersionRollback: 'The version is lower than the one that is loaded, and was not made later.',
  VersionConflict: 'The version is loaded already, with other bytes; versions are immutable.',
  DigestMismatch: "The model's bytes do not have the digest that the manifest signs.",
  ModelUnusable: 'ONNX Runtime does not load the model, or it fails on zeros.',
  DiskUnusable: "The agent's folder cannot be written: it is full, read-only or not permitted.",
  InternalError: 'Something that should not happen; the message has what is known.',
} as const

export type RefusalReason = keyof typeof REFUSAL_REASONS

export class ModelRefused extends Error {
  override readonly name = 'ModelRefused'
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string) {
    super(message)
    this.reason = reason
  }
}

const DISK_ERRORS = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EIO'])

export function asModelRefused(error: unknown): ModelRefused {
  if (error instanceof ModelRefused) return error
  const message = error instanceof Error ? error.message : String(error)
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? ''
  return new ModelRefused(DISK_ERRORS.has(code) ? 'DiskUnusable' : 'InternalError', message)
}
