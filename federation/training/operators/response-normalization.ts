/*
 * LRN, local response normalisation (Krizhevsky et al. 2012): y = x / s^β with s = bias + α / size · Σ x² over
 * neighbouring channels. The sum over channels is a product with a constant matrix of ones near the diagonal.
 */
import { floatOf, floatTensor, intOf, type Node } from '../graph.ts'
import { elementCount } from '../manifest.ts'
import { emitAsIs, type Emitter, input, type Operator } from './operator.ts'

const localResponse: Operator = {
  emit: (node, emitter) => {
    const y = emitAsIs(node, emitter)
    const { builder } = emitter
    const x = input(node, 0)
    const size = intOf(node, 'size', 1)
    const [alpha, beta] = [floatOf(node, 'alpha', 0.0001), floatOf(node, 'beta', 0.75)]
    return (dy) => [
      () => {
        // dy / s^β - 2 α β / size · x · Σ dy · y / s, the sum over the channels in whose neighbourhood x is
        const squared = builder.add('Mul', [x, x])
        const scaled = builder.add('Mul', [neighbours(node, emitter, squared), builder.scalar(alpha / size)])
        const s = builder.add('Add', [scaled, builder.scalar(floatOf(node, 'bias', 1))])
        const direct = builder.add('Div', [dy, builder.add('Pow', [s, builder.scalar(beta)])])
        const shares = builder.add('Div', [builder.add('Mul', [dy, y]), s])
        const back = neighbours(node, emitter, shares)
        const factor = builder.scalar((2 * alpha * beta) / size)
        return builder.add('Sub', [direct, builder.add('Mul', [builder.add('Mul', [x, factor]), back])])
      },
    ]
  },
}

/** For each channel the sum over its neighbourhood; sizes are odd, so being a neighbour is mutual. */
function neighbours(node: Node, { builder, shape }: Emitter, value: string): string {
  const x = shape(input(node, 0))
  const [batch = 1, channels = 1, ...spatial] = x
  const reach = (intOf(node, 'size', 1) - 1) / 2
  const band = Array.from({ length: channels * channels }, (_, index) => {
    const distance = Math.abs((index % channels) - Math.floor(index / channels))
    return distance <= reach ? 1 : 0
  })
  const rows = builder.reshape(value, [batch, channels, elementCount(spatial)])
  const sums = builder.add('MatMul', [builder.constant(floatTensor(band, [channels, channels])), rows])
  return builder.reshape(sums, x)
}

export const responseNormalization: Record<string, Operator> = { LRN: localResponse }
