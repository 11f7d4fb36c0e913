/*
 * Broadcasting, backwards: a value that was repeated along an axis gets the sum of the gradients along it.
 */
import type { GraphBuilder, Shape } from '../builder.ts'

/** The gradient, of shape `from`, of a value of shape `to` that was broadcast to `from`. */
export function unbroadcast(builder: GraphBuilder, gradient: string, from: Shape, to: Shape): string {
  if (sameShape(from, to)) return gradient
  const missing = from.length - to.length
  const axes = from
    .map((_, axis) => axis)
    .filter((axis) => axis < missing || to[axis - missing] !== from[axis])
  // Where only axes that are not in `to` are summed, as for a bias, the sum has its shape already.
  if (axes.length > 0 && axes.length === missing) return builder.reduceSum(gradient, axes, false)
  const summed = axes.length > 0 ? builder.reduceSum(gradient, axes, true) : gradient
  return missing > 0 ? builder.reshape(summed, to) : summed
}

export function broadcastShape(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, axis) => {
    const x = a[axis - (rank - a.length)] ?? 1
    const y = b[axis - (rank - b.length)] ?? 1
    return x === 1 ? y : x
  })
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis])
}
