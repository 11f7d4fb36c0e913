/*
 * The sliding window that convolution and pooling share: kernel, strides, dilations and padding, with
 * auto_pad resolved to numbers. One or two spatial dimensions.
 */
import type { Shape } from '../builder.ts'
import { type Attributes, ints, intsOf, type Node, stringOf } from '../graph.ts'

export interface Window {
  kernel: Shape
  strides: Shape
  dilations: Shape
  /** Padding before and after, for each spatial dimension. */
  before: Shape
  after: Shape
}

/** `x` and `y` are the shapes of input and output, batch and channels first. */
export function windowOf(node: Node, kernel: Shape, shapes: { x: Shape; y: Shape }): Window {
  const ones = kernel.map(() => 1)
  const strides = intsOf(node, 'strides') ?? ones
  const dilations = intsOf(node, 'dilations') ?? ones
  const autoPad = stringOf(node, 'auto_pad', 'NOTSET')
  if (autoPad === 'SAME_UPPER' || autoPad === 'SAME_LOWER') {
    const total = kernel.map((size, axis) => {
      const outputs = shapes.y[axis + 2] ?? 1
      const covered = (outputs - 1) * at(strides, axis) + (size - 1) * at(dilations, axis) + 1
      return Math.max(0, covered - (shapes.x[axis + 2] ?? 1))
    })
    const half = total.map((size) => Math.floor(size / 2))
    const rest = total.map((size) => Math.ceil(size / 2))
    const [before, after] = autoPad === 'SAME_UPPER' ? [half, rest] : [rest, half]
    return { kernel, strides, dilations, before, after }
  }
  const pads = autoPad === 'VALID' ? undefined : intsOf(node, 'pads')
  const zeros = kernel.map(() => 0)
  const before = pads?.slice(0, kernel.length) ?? zeros
  const after = pads?.slice(kernel.length) ?? zeros
  return { kernel, strides, dilations, before, after }
}

export function at(values: Shape, axis: number): number {
  return values[axis] ?? 0
}

/**
 * Attributes of the ConvTranspose that takes a gradient of `outputs` windows back to `inputs` positions. Input
 * that no window reached gets zeros, by output_padding.
 */
export function transposeAttributes(window: Window, outputs: Shape, inputs: Shape): Attributes {
  const { kernel, strides, dilations, before } = window
  const surplus = kernel.map((size, axis) => {
    const full = at(strides, axis) * (at(outputs, axis) - 1) + at(dilations, axis) * (size - 1) + 1
    return full - at(before, axis) - at(inputs, axis)
  })
  return {
    strides: ints(strides),
    dilations: ints(dilations),
    pads: ints([...before, ...surplus.map((size) => Math.max(0, size))]),
    output_padding: ints(surplus.map((size) => Math.max(0, -size))),
  }
}

export function refuseSpatial(rank: number): string | undefined {
  if (rank === 1 || rank === 2) return undefined
  return `it has ${rank} spatial dimensions; supported are 1 and 2`
}
