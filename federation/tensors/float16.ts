// Codec Float16: half of the bytes for a relative error of at most 2^-11 (values below 6.1e-5: an absolute one of 2^-25).
// Rounding is to nearest even, so not random and unbiased only on average. Running state stays float32. The file is
// the float32 values of running state, then one float16 for every value.
import type { UpdateReader } from '#federation/aggregation/reader.ts'
import { ByteReader, ByteWriter } from './cursor.ts'
import { EncodingError } from './errors.ts'
import { exactValues, type Layout, restoreExact } from './layout.ts'
import { blockReader } from './reader.ts'
import type { ByteSource } from './source.ts'

const BLOCK_LENGTH = 16_384
const BYTES_PER_VALUE = 2

export function float16Size({ length, exactLength }: Layout): number {
  return 4 * exactLength + BYTES_PER_VALUE * length
}

/** @throws RangeError when a value is beyond float16 (65504): a difference of that size is refused, not clipped */
export function encodeFloat16(values: Float32Array, layout: Layout): Uint8Array {
  if (values.length !== layout.length) {
    throw new RangeError(`there are ${values.length} values; the layout has ${layout.length}`)
  }
  const exact = exactValues(layout, values)
  const rounded = Float32Array.from(values)
  restoreExact(layout, new Float32Array(exact.length), { start: 0, into: rounded })
  const halves = Float16Array.from(rounded)
  const index = halves.findIndex((value) => !Number.isFinite(value))
  if (index >= 0) throw new RangeError(`value ${index} is ${values[index]}; float16 ends at 65504`)
  return new ByteWriter().float32s(exact).bytes(new Uint8Array(halves.buffer)).finish()
}

/** The reader takes the source over. */
export async function openFloat16(source: ByteSource, layout: Layout): Promise<UpdateReader> {
  const want = float16Size(layout)
  if (source.size !== want) {
    throw new EncodingError(
      `the update has ${source.size} bytes; ${layout.length} float16 values take ${want}`,
    )
  }
  const head = new Uint8Array(4 * layout.exactLength)
  await source.read(0, head)
  const exact = new ByteReader(head, 'the running state').float32s(layout.exactLength)
  const halves = new Float16Array(Math.min(BLOCK_LENGTH, layout.length))
  return blockReader(source, layout.length, BLOCK_LENGTH, async (block, into) => {
    const start = block * BLOCK_LENGTH
    const own = halves.subarray(0, into.length)
    await source.read(head.length + BYTES_PER_VALUE * start, new Uint8Array(own.buffer, 0, own.byteLength))
    into.set(own)
    restoreExact(layout, exact, { start, into })
  })
}
