// Updates for the benchmarks: the same pseudo-random values for the same number, in memory or as files.
import { link, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export function updateValues(index: number, length: number): Float32Array {
  const values = new Float32Array(length)
  let state = index * 7919 + 1
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    values[i] = state / 2 ** 31
  }
  return values
}

export function updatePath(folder: string, index: number): string {
  return join(folder, `${index}.f32`)
}

/** Writes `distinct` files and gives each of the others the content of one of them, so that a crowd takes little disk. */
export async function spoolUpdates(
  folder: string,
  size: { readonly updates: number; readonly values: number; readonly distinct: number },
): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (let k = 0; k < size.updates; k++) {
    if (k < size.distinct) {
      await writeFile(updatePath(folder, k), new Uint8Array(updateValues(k, size.values).buffer))
    } else await link(updatePath(folder, k % size.distinct), updatePath(folder, k))
  }
}
