import type { InferenceSession, Tensor } from 'onnxruntime-node'

/**
 * The binding writes outputs where they are wanted and, beside that, makes a copy of each. Left to the garbage collector
 * these copies pile up, and the next ones meet memory that is not mapped yet, which costs more than copying.
 */
export function freeCopies(
  outputs: InferenceSession.OnnxValueMapType,
  fetches: Readonly<Record<string, Tensor | null>>,
): void {
  for (const [name, wanted] of Object.entries(fetches)) {
    const copy = outputs[name]?.data
    if (!wanted || !(copy instanceof Float32Array) || copy.buffer === bufferOf(wanted)) continue
    if (copy.buffer instanceof ArrayBuffer) copy.buffer.transfer(0)
  }
}

function bufferOf({ data }: Tensor): unknown {
  return data instanceof Float32Array ? data.buffer : undefined
}
