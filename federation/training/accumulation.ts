/*
 * Sums over the parts of a batch: what a part adds to each parameter's gradient, and at the end to the loss. They pass
 * through a Loop whose body is the part's graph.
 */
import type { GraphBuilder, Shape } from './builder.ts'
import type { ValueInfo } from './graph.ts'

export interface Named {
  name: string
  shape: Shape
}

export interface Accumulated {
  /** Graph inputs: the sums so far. */
  sums: Named[]
  /** Graph outputs: the sums with this part. */
  outputs: ValueInfo[]
}

/** Adds `summands`, one for each of the parameters and the last for the loss, to the sums that a part is given. */
export function addToSums(
  builder: GraphBuilder,
  trainable: readonly Named[],
  summands: readonly string[],
): Accumulated {
  const sums = [...trainable, { name: 'loss', shape: [] }].map(({ name, shape }) => ({
    name: builder.input(`${name}.sum`, shape),
    shape,
  }))
  const outputs = sums.map(({ name, shape }, index) => ({
    name: builder.add('Add', [name, summands[index] ?? '']),
    type: 'float32' as const,
    shape: [...shape],
  }))
  return { sums, outputs }
}
