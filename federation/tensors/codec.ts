// The upload codecs of a TransferConfiguration: what a node writes, what a tier accepts, how it is read, and error feedback.
// Encoding is a function of the values, the layout, the configuration and the seed; reading checks everything that can
// be wrong with bytes from outside and then hands out finite numbers only (codec Float32: see float32Reader).
import type { UpdateReader } from '#federation/aggregation/reader.ts'
import type { UploadCodec } from './configuration.ts'
import { encodeFloat16, float16Size, openFloat16 } from './float16.ts'
import type { Layout } from './layout.ts'
import { encodeQuantized, openQuantized, type Quantization, quantizedSizeBound } from './quantized.ts'
import { decodeAll, float32Reader } from './reader.ts'
import { bytesSource, type ByteSource } from './source.ts'
import { encodeSparse, openSparse, sparseSizeBound } from './sparse.ts'

/** Expected relative error 0.0146: what an 8-bit code with a scale for every 4,096 values reaches on real updates. */
const INT8_STEP = 0.0505
/** Expected relative error 0.098: what NF4 with a scale for every 64 values reaches. */
const INT4_STEP = 0.34

/** How the codecs Int8 and Int4, and publications of as many bits, round. */
export function quantizationOf(type: 'Int8' | 'Int4', rank: number): Quantization {
  return { step: type === 'Int8' ? INT8_STEP : INT4_STEP, rank }
}

/**
 * The update's bytes; codec Float32 gives those of the values themselves, in their memory.
 * @param seed 32 random bits, new for each update; codecs that draw nothing ignore it
 * @throws RangeError when a value is not finite, does not fit the codec, or there are too many or too few
 */
export function encodeUpdate(
  values: Float32Array,
  layout: Layout,
  codec: UploadCodec,
  seed: number,
): Uint8Array {
  switch (codec.type) {
    case 'Float32':
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    case 'Float16':
      return encodeFloat16(values, layout)
    case 'Int8':
    case 'Int4':
      return encodeQuantized(values, layout, quantizationOf(codec.type, codec.rank), seed)
    case 'TopK':
    case 'SparseTernary':
      return encodeSparse(values, layout, codec)
  }
}

/** Bytes that an update of the codec never exceeds: what a tier may refuse unread. */
export function updateSizeBound(layout: Layout, codec: UploadCodec): number {
  switch (codec.type) {
    case 'Float32':
      return 4 * layout.length
    case 'Float16':
      return float16Size(layout)
    case 'Int8':
    case 'Int4':
      return quantizedSizeBound(layout)
    case 'TopK':
    case 'SparseTernary':
      return sparseSizeBound(layout, codec)
  }
}

/** Opens an update; the reader takes the source over, also when it is refused. */
export async function openUpdate(
  source: ByteSource,
  layout: Layout,
  codec: UploadCodec,
): Promise<UpdateReader> {
  try {
    return await readerOf(source, layout, codec)
  } catch (error) {
    await source.close()
    throw error
  }
}

async function readerOf(source: ByteSource, layout: Layout, codec: UploadCodec): Promise<UpdateReader> {
  switch (codec.type) {
    case 'Float32':
      return float32Reader(source, layout.length)
    case 'Float16':
      return openFloat16(source, layout)
    case 'Int8':
    case 'Int4':
      return openQuantized(source, layout)
    case 'TopK':
    case 'SparseTernary':
      return openSparse(source, layout, codec)
  }
}

export interface Feedback {
  readonly encoded: Uint8Array
  /** What the encoded update lacks; the node keeps it and gives it to the next round. */
  readonly residual: Float32Array
}

/**
 * Error feedback (Seide et al. 2014; Karimireddy et al. 2019): encodes the update plus what earlier encodings left out.
 * @param residual of the last round; nothing when absent. Its length is the update's.
 */
export async function encodeWithFeedback(
  values: Float32Array,
  residual: Float32Array | undefined,
  settings: { readonly layout: Layout; readonly codec: UploadCodec; readonly seed: number },
): Promise<Feedback> {
  if (residual && residual.length !== values.length) {
    throw new RangeError(`the residual has ${residual.length} values; the update has ${values.length}`)
  }
  const { layout, codec, seed } = settings
  const wanted = values.map((value, index) => value + (residual?.[index] ?? 0))
  const encoded = encodeUpdate(wanted, layout, codec, seed)
  const sent = await decodeAll(await openUpdate(bytesSource(encoded), layout, codec))
  return { encoded, residual: wanted.map((value, index) => value - (sent[index] as number)) }
}
