/*
 * How updates travel up and parameters travel down, as a campaign's plan says it. A codec is listed here only when it is
 * implemented, so a value that passes this schema can be obeyed.
 */
import { z } from 'zod'

import { EncodingError } from './errors.ts'

export const UploadCodec = z.discriminatedUnion('type', [
  /** Little-endian float32 values and nothing else: exact, and the largest. */
  z.strictObject({ type: z.literal('Float32') }),
])
export type UploadCodec = z.infer<typeof UploadCodec>

export const TransferConfiguration = z.strictObject({
  upload: z
    .strictObject({ codec: UploadCodec.default({ type: 'Float32' }) })
    .default({ codec: { type: 'Float32' } }),
})
export type TransferConfiguration = z.infer<typeof TransferConfiguration>
/** What may be written: fields with a default may be left out. */
export type TransferConfigurationInput = z.input<typeof TransferConfiguration>

/** Reads a transfer configuration from parsed JSON; refuses it naming the field. */
export function readTransferConfiguration(value: unknown): TransferConfiguration {
  const result = TransferConfiguration.safeParse(value)
  if (result.success) return result.data
  throw new EncodingError(`transfer configuration: ${z.prettifyError(result.error)}`)
}
