/*
 * The two directions of a convolution apart from its weight: from the data to the windows, and gradients back
 * from the windows to the data.
 */
import { int, ints } from '../graph.ts'
import type { Convolution } from './convolution-weight.ts'
import { at, transposeAttributes, type Window } from './window.ts'

/** y of this x. */
export function windowed({ emitter, window, group }: Convolution, values: { w: string; x: string }): string {
  return emitter.builder.add('Conv', [values.x, values.w], {
    group: int(group),
    strides: ints(window.strides),
    dilations: ints(window.dilations),
    pads: ints([...window.before, ...window.after]),
  })
}

/** The gradient of x, given that of y. */
export function gradientOfWindowed(convolution: Convolution, values: { w: string; dy: string }): string {
  const { emitter, window, group, x, w, y } = convolution
  const pads = flippedPads(window)
  const oneDimensional = window.kernel.length === 1
  const perChannel = group > 1 && at(w, 1) === 1
  const suitable = oneDimensional || group === 1 || perChannel
  if (pads && suitable && window.strides.every((stride) => stride === 1)) {
    // At stride 1 a convolution does the same as ONNX Runtime's ConvTranspose, and sooner.
    return emitter.builder.add('Conv', [values.dy, flippedKernel(convolution, values.w)], {
      group: int(group),
      dilations: ints(window.dilations),
      pads: ints(pads),
    })
  }
  const attributes = { group: int(group), ...transposeAttributes(window, y.slice(2), x.slice(2)) }
  return emitter.builder.add('ConvTranspose', [values.dy, values.w], attributes)
}

/** The padding with which the flipped kernel undoes the window; undefined where it would be negative. */
function flippedPads({ kernel, dilations, before, after }: Window): number[] | undefined {
  const reach = kernel.map((size, axis) => at(dilations, axis) * (size - 1))
  const pads = [before, after].flatMap((side) => reach.map((size, axis) => size - at(side, axis)))
  return pads.every((size) => size >= 0) ? pads : undefined
}

/** The weight with its kernel reversed, and with outputs and inputs exchanged within each group. */
function flippedKernel(convolution: Convolution, weight: string): string {
  const { emitter, window, group, w } = convolution
  const { builder } = emitter
  const { kernel } = window
  const axes = kernel.map((_, axis) => axis + 2)
  const reversed = reversedKernel(convolution, weight)
  const [outputs = 1, inputs = 1] = w
  if (group === 1) return builder.add('Transpose', [reversed], { perm: ints([1, 0, ...axes]) })
  if (outputs === group && inputs === 1) return reversed
  const grouped = builder.reshape(reversed, [group, outputs / group, inputs, ...kernel])
  const exchanged = builder.add('Transpose', [grouped], {
    perm: ints([0, 2, 1, ...axes.map((axis) => axis + 1)]),
  })
  return builder.reshape(exchanged, [group * inputs, outputs / group, ...kernel])
}

function reversedKernel({ emitter: { builder }, window: { kernel } }: Convolution, weight: string): string {
  if (kernel.every((size) => size === 1)) return weight
  const axes = kernel.map((_, axis) => axis + 2)
  const every = (value: number): string => builder.int64(axes.map(() => value))
  const backwards = [every(-1), every(-Number.MAX_SAFE_INTEGER), builder.int64(axes), every(-1)]
  return builder.add('Slice', [weight, ...backwards])
}
