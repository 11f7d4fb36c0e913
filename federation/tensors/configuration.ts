/*
 * How updates travel up and parameters travel down, as a campaign's plan says it. A codec is listed here only when it is
 * implemented, so a value that passes this schema can be obeyed.
 */
import { z } from 'zod'

import { EncodingError } from './errors.ts'

/** Largest rank of the part of a matrix that is sent as factors; 0 switches that off. More costs time, not bytes. */
const rank = z.int().min(0).max(32).default(16)
/** Share of the values that are sent. */
const fraction = z.number().min(1e-5).max(0.5).default(0.01)

export const UploadCodec = z.discriminatedUnion('type', [
  /** Little-endian float32 values and nothing else: exact, and the largest. */
  z.strictObject({ type: z.literal('Float32') }),
  /** Half of the bytes, relative error 2^-11 a value. */
  z.strictObject({ type: z.literal('Float16') }),
  /** Unbiased, expected relative error of the update 0.0146. */
  z.strictObject({ type: z.literal('Int8'), rank }),
  /** Unbiased, expected relative error of the update 0.098. */
  z.strictObject({ type: z.literal('Int4'), rank }),
  /** The largest values as float16; biased, so error feedback is required. */
  z.strictObject({ type: z.literal('TopK'), fraction }),
  /** The signs of the largest values and their mean magnitude; biased, so error feedback is required. */
  z.strictObject({ type: z.literal('SparseTernary'), fraction }),
])
export type UploadCodec = z.infer<typeof UploadCodec>

const upload = z
  .strictObject({
    codec: UploadCodec.default({ type: 'Float32' }),
    /** What an encoding left out is kept on the node and added to its next update. */
    errorFeedback: z.boolean().default(false),
  })
  .refine(({ codec, errorFeedback }) => errorFeedback || !isBiased(codec), {
    path: ['errorFeedback'],
    error: 'TopK and SparseTernary leave most values out; they need errorFeedback: true',
  })
  .refine(({ codec, errorFeedback }) => !errorFeedback || codec.type !== 'Float32', {
    path: ['errorFeedback'],
    error: 'Float32 is exact; there is nothing to feed back',
  })

const download = z.strictObject({
  /** Full: all parameters. Delta: the lossless difference from the version that a node has. */
  type: z.enum(['Full', 'Delta']).default('Full'),
})

export const TransferConfiguration = z.strictObject({
  upload: upload.prefault({}),
  download: download.prefault({}),
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

function isBiased({ type }: UploadCodec): boolean {
  return type === 'TopK' || type === 'SparseTernary'
}
