/*
 * What the participants of the ledger submit: participant i of n has a 1 at place i, a 0 at the other first n places, and
 * integers behind them that follow from seed, round, participant and variant. The integers are so small that float32 holds
 * every sum of them exactly, and that the mean of n, taken times n, is nearest to the right integer.
 */
import { createHash } from 'node:crypto'

export interface Shape {
  readonly participants: number
  /** Values of a vector, more than there are participants. */
  readonly length: number
}

export interface Submission {
  readonly seed: string
  readonly round: number
  readonly participant: number
  /** 0 for what a participant trained; another for other bytes under the same key. */
  readonly variant: number
}

/** Payload values are from -512 to 511. */
const HALF_RANGE = 512
const BITS = 2 * HALF_RANGE - 1

export function vectorOf({ seed, round, participant, variant }: Submission, shape: Shape): Float32Array {
  const vector = new Float32Array(shape.length)
  vector[participant] = 1
  const key = createHash('sha256').update(`${seed}/${round}/${participant}/${variant}`).digest()
  for (let at = shape.participants, block = 0; at < shape.length; block++) {
    const bytes = createHash('sha512').update(key).update(String(block)).digest()
    for (let byte = 0; byte < bytes.length && at < shape.length; byte += 2) {
      vector[at++] = (bytes.readUInt16LE(byte) & BITS) - HALF_RANGE
    }
  }
  return vector
}

/** Little-endian, as it travels. */
export function bytesOf(vector: Float32Array): Buffer {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength)
}

/**
 * The unnormalised sum behind a mean that was added to parameters.
 * @param weight total weight of what was averaged
 */
export function sumBehind(before: Float32Array, after: Float32Array, weight: number): number[] {
  return Array.from(after, (value, at) => (value - (before[at] ?? Number.NaN)) * weight)
}
