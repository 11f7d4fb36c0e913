/*
 * DepthToSpace and SpaceToDepth: blocks of pixels to channels and back.
 */
import { int, intOf, ints, stringOf } from '../graph.ts'
import { emitAsIs, input, type Operator } from './operator.ts'

const depthToSpace: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const { builder, shape } = emitter
    const block = intOf(node, 'blocksize', 1)
    const x = shape(input(node, 0))
    const [batch = 1, channels = 1, height = 1, width = 1] = x
    return (dy) => [
      () => {
        if (stringOf(node, 'mode', 'DCR') === 'DCR') {
          return builder.add('SpaceToDepth', [dy], { blocksize: int(block) })
        }
        const depth = channels / block ** 2
        const apart = builder.reshape(dy, [batch, depth, height, block, width, block])
        return builder.reshape(builder.add('Transpose', [apart], { perm: ints([0, 1, 3, 5, 2, 4]) }), x)
      },
    ]
  },
}

const spaceToDepth: Operator = {
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const blocksize = int(intOf(node, 'blocksize', 1))
    return (dy) => [() => emitter.builder.add('DepthToSpace', [dy], { blocksize })]
  },
}

export const depth: Record<string, Operator> = { DepthToSpace: depthToSpace, SpaceToDepth: spaceToDepth }
