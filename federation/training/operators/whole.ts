/*
 * Gradients of a value of which parts were taken: where these lie side by side and leave nothing out, as exporters take the
 * gates of a recurrent layer or the heads of an attention apart, the whole is put together instead of added up.
 */
import type { GraphBuilder, Shape } from '../builder.ts'
import { int } from '../graph.ts'
import { elementCount } from '../manifest.ts'

/** A gradient among zeros, along one axis. */
interface Part {
  value: string
  axis: number
  start: number
  end: number
}

/** The sum of at least two gradients of a value of this shape; each is as large as the whole. */
export function sumOfGradients(builder: GraphBuilder, gradients: readonly string[], shape: Shape): string {
  if (elementCount(shape) === 0) return builder.sum(gradients)
  const parts = gradients
    .map((gradient) => partOf(builder, gradient, shape))
    .filter((part) => part !== undefined)
    .toSorted((a, b) => a.start - b.start)
  const [first] = parts
  if (!first || parts.length < gradients.length) return builder.sum(gradients)
  const bounds = [...parts.map(({ start }) => start), shape[first.axis] ?? 0]
  const isWhole =
    first.start === 0 &&
    parts.every(({ axis, end }, index) => axis === first.axis && end === bounds[index + 1])
  if (!isWhole) return builder.sum(gradients)
  return builder.add(
    'Concat',
    parts.map(({ value }) => value),
    { axis: int(first.axis) },
  )
}

function partOf(builder: GraphBuilder, gradient: string, shape: Shape): Part | undefined {
  const pad = builder.producer(gradient)
  if (pad?.op !== 'Pad' || pad.inputs.length !== 2 || Object.keys(pad.attributes).length > 0) return undefined
  const [value = '', given = ''] = pad.inputs
  const pads = Array.from<bigint | number, number>(builder.initializers.get(given)?.data ?? [], Number)
  const padded = shape.map((size, axis) => ({
    axis,
    start: pads[axis] ?? 0,
    end: size - (pads[axis + shape.length] ?? 0),
  }))
  const [along, ...others] = padded.filter(({ axis, start, end }) => start !== 0 || end !== shape[axis])
  return along && others.length === 0 && pads.every((size) => size >= 0) ? { value, ...along } : undefined
}
