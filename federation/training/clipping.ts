/*
 * Gradient clipping as torch.nn.utils has it: by the norm of all gradients together (clip_grad_norm_ with norm type
 * 2: gradients are scaled by min(1, maximum / (norm + 1e-6))), or element by element (clip_grad_value_).
 */
import type { GraphBuilder } from './builder.ts'
import type { GradientClipping } from './configuration.ts'
import type { Trainable } from './gradient.ts'
import { int } from './graph.ts'

const NORM_OFFSET = 1e-6

export function emitClipping(
  builder: GraphBuilder,
  clipping: GradientClipping | undefined,
  trainable: readonly Trainable[],
): readonly Trainable[] {
  switch (clipping?.type) {
    case undefined:
      return trainable
    case 'Norm':
      return clippedByNorm(builder, clipping.maximum, trainable)
    case 'Value':
      return clippedByValue(builder, clipping.maximum, trainable)
  }
}

function clippedByNorm(builder: GraphBuilder, maximum: number, trainable: readonly Trainable[]): Trainable[] {
  const squares = trainable.map(({ gradient }) =>
    builder.add('ReduceSumSquare', [gradient], { keepdims: int(0) }),
  )
  const norm = builder.add('Sqrt', [builder.sum(squares)])
  const divisor = builder.add('Add', [norm, builder.scalar(NORM_OFFSET)])
  const share = builder.add('Div', [builder.scalar(maximum), divisor])
  const factor = builder.add('Min', [share, builder.scalar(1)])
  return trainable.map((entry) => ({ ...entry, gradient: builder.add('Mul', [entry.gradient, factor]) }))
}

function clippedByValue(
  builder: GraphBuilder,
  maximum: number,
  trainable: readonly Trainable[],
): Trainable[] {
  const bounds = [builder.scalar(-maximum), builder.scalar(maximum)]
  return trainable.map((entry) => ({ ...entry, gradient: builder.add('Clip', [entry.gradient, ...bounds]) }))
}
