/*
 * The sliding window that convolution and pooling share: kernel, strides, dilations and padding, with
 * auto_pad resolved to numbers. One to three spatial dimensions.
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
  if (autoPad.startsWith('SAME')) {
    const total = samePadding({ kernel, strides, dilations }, shapes)
    return { kernel, strides, dilations, ...divided(total, autoPad === 'SAME_UPPER') }
  }
  const given = autoPad === 'VALID' ? undefined : intsOf(node, 'pads')
  const pads = given ?? [...kernel, ...kernel].map(() => 0)
  const rank = kernel.length
  return { kernel, strides, dilations, before: pads.slice(0, rank), after: pads.slice(rank) }
}

/**
 * The window of the convolution that a ConvTranspose takes backwards: `x` is the shape of its output, `y` that of
 * its input. What is cut off where output_shape or auto_pad is given follows from the shapes.
 */
export function transposedWindowOf(node: Node, kernel: Shape, { x, y }: { x: Shape; y: Shape }): Window {
  const ones = kernel.map(() => 1)
  const strides = intsOf(node, 'strides') ?? ones
  const dilations = intsOf(node, 'dilations') ?? ones
  const autoPad = stringOf(node, 'auto_pad', 'NOTSET')
  const given = intsOf(node, 'output_shape') === undefined && autoPad === 'NOTSET'
  if (given || autoPad === 'VALID') {
    const pads = (given ? intsOf(node, 'pads') : undefined) ?? [...kernel, ...kernel].map(() => 0)
    const rank = kernel.length
    return { kernel, strides, dilations, before: pads.slice(0, rank), after: pads.slice(rank) }
  }
  const extra = intsOf(node, 'output_padding') ?? kernel.map(() => 0)
  const total = kernel.map((size, axis) => {
    const full = (at(y, axis + 2) - 1) * at(strides, axis) + (size - 1) * at(dilations, axis) + 1
    return Math.max(0, full + at(extra, axis) - at(x, axis + 2))
  })
  return { kernel, strides, dilations, ...divided(total, autoPad === 'SAME_UPPER') }
}

function divided(total: Shape, moreAfter: boolean): Pick<Window, 'before' | 'after'> {
  const less = total.map((size) => Math.floor(size / 2))
  const more = total.map((size) => Math.ceil(size / 2))
  return moreAfter ? { before: less, after: more } : { before: more, after: less }
}

/** The padding that gives SAME its number of outputs. */
function samePadding(
  { kernel, strides, dilations }: Pick<Window, 'kernel' | 'strides' | 'dilations'>,
  { x, y }: { x: Shape; y: Shape },
): number[] {
  return kernel.map((size, axis) => {
    const covered = (at(y, axis + 2) - 1) * at(strides, axis) + (size - 1) * at(dilations, axis) + 1
    return Math.max(0, covered - at(x, axis + 2))
  })
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
  if (rank >= 1 && rank <= 3) return undefined
  return `it has ${rank} spatial dimensions; supported are 1 to 3`
}

/** Every axis but one. */
export function allBut(axis: number, rank: number): number[] {
  return Array.from({ length: rank }, (_, index) => index).filter((index) => index !== axis)
}
