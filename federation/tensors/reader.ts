// How the merging engine sees an update, whatever its encoding: a vector of float32 values that is read slice by slice,
// in any order. A reader checks before it hands out a value what can be checked: sizes at opening, numbers at reading.
// Damaged bytes reject with EncodingError.
import type { UpdateReader } from '#federation/aggregation/reader.ts'
import { EncodingError } from './errors.ts'
import type { ByteSource } from './source.ts'

const BYTES_PER_VALUE = Float32Array.BYTES_PER_ELEMENT

/**
 * Reads an update of codec Float32: little-endian values and nothing else; closing the reader closes the bytes.
 * Values that are not finite are handed out as they are; they are refused when the update arrives.
 * @param length values that the update must have; any other size is refused
 */
export function float32Reader(source: ByteSource, length: number): UpdateReader {
  const want = length * BYTES_PER_VALUE
  if (source.size !== want) {
    throw new EncodingError(`the update has ${source.size} bytes; ${length} float32 values take ${want}`)
  }
  return {
    length,
    read: async (start, into) => {
      checkRange(start, into.length, length)
      await source.read(start * BYTES_PER_VALUE, bytesOf(into))
    },
    close: async () => source.close(),
  }
}

/**
 * A reader of an encoding in blocks. The last decoded block is kept, so slices in ascending order decode each block once.
 * @param decode fills in the values of block `block`; they are checked here to be finite
 */
export function blockReader(
  source: ByteSource,
  length: number,
  blockLength: number,
  decode: (block: number, into: Float32Array) => Promise<void>,
): UpdateReader {
  const buffer = new Float32Array(Math.min(blockLength, length))
  let decoded = -1
  const load = async (block: number): Promise<Float32Array> => {
    const values = buffer.subarray(0, Math.min(blockLength, length - block * blockLength))
    if (block === decoded) return values
    decoded = -1
    await decode(block, values)
    checkFinite(values, block * blockLength)
    decoded = block
    return values
  }
  return {
    length,
    read: async (start, into) => {
      checkRange(start, into.length, length)
      for (let done = 0; done < into.length;) {
        const block = Math.floor((start + done) / blockLength)
        const values = await load(block)
        const from = start + done - block * blockLength
        const part = values.subarray(from, Math.min(values.length, from + into.length - done))
        into.set(part, done)
        done += part.length
      }
    },
    close: async () => source.close(),
  }
}

function checkFinite(values: Float32Array, start: number): void {
  const index = values.findIndex((value) => !Number.isFinite(value))
  if (index >= 0)
    throw new EncodingError(`value ${start + index} is ${values[index]}; every value must be finite`)
}

/** A slice outside of the update is a mistake of the caller, not of the sender. */
export function checkRange(start: number, count: number, length: number): void {
  if (Number.isSafeInteger(start) && start >= 0 && start + count <= length) return
  throw new RangeError(`values ${start} to ${start + count} are not within the ${length} of the update`)
}

/** Float32 values are read and written as they lie in memory: every platform of Node.js is little-endian but s390x. */
function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

/** All values at once, for those who need them together anyway; closes the reader. */
export async function decodeAll(reader: UpdateReader): Promise<Float32Array<ArrayBuffer>> {
  const values = new Float32Array(reader.length)
  try {
    await reader.read(0, values)
  } finally {
    await reader.close()
  }
  return values
}
