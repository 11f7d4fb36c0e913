// Publishing what few bytes can say. The hub rounds the change since the last version, publishes base + rounded change AS the new
// version, and so every node that applies the same few bytes to the same base has the published bits exactly. What
// rounding left out is carried by the hub into the next version, so errors do not add up over versions.
import { decodeAll } from './reader.ts'
import { encodeQuantized, openQuantized, type Quantization, quantizedSizeBound } from './quantized.ts'
import type { Layout } from './layout.ts'
import { bytesSource, type ByteSource } from './source.ts'

export interface PublicationRequest {
  /** What the nodes have. */
  readonly base: Float32Array
  /** What merging gave. */
  readonly next: Float32Array
  readonly layout: Layout
  readonly quantization: Quantization
  /** 32 random bits, new for each publication. */
  readonly seed: number
  /** What earlier publications left out; nothing when absent. */
  readonly carry?: Float32Array
}

export interface Publication {
  /** The new version: what a node has that applies the delta to the base. */
  readonly published: Float32Array
  readonly delta: Uint8Array
  /** What the new version lacks of the wanted parameters; give it to the next publication. */
  readonly carry: Float32Array
}

export async function quantizeForPublication(request: PublicationRequest): Promise<Publication> {
  const { base, next, layout, carry } = request
  if (base.length !== next.length || (carry && carry.length !== next.length)) {
    throw new RangeError(`base has ${base.length} values, next ${next.length}, carry ${carry?.length ?? 0}`)
  }
  const wanted = Float64Array.from(next, (value, i) => value + (carry?.[i] ?? 0))
  const change = Float32Array.from(wanted, (value, i) => value - (base[i] as number))
  const delta = encodeQuantized(change, layout, request.quantization, request.seed)
  const published = await applyQuantizedDelta(base, bytesSource(delta), layout)
  return {
    published,
    delta,
    carry: Float32Array.from(wanted, (value, i) => value - (published[i] as number)),
  }
}

/** @throws EncodingError when the bytes are not a quantised delta for this layout */
export async function applyQuantizedDelta(
  base: Float32Array,
  delta: ByteSource,
  layout: Layout,
): Promise<Float32Array> {
  if (base.length !== layout.length) {
    throw new RangeError(`base has ${base.length} values; the layout has ${layout.length}`)
  }
  const change = await decodeAll(await openQuantized(delta, layout))
  return change.map((value, i) => (base[i] as number) + value)
}

/** Bytes that a quantised delta never exceeds. */
export function quantizedDeltaSizeBound(layout: Layout): number {
  return quantizedSizeBound(layout)
}
