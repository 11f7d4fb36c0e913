/*
 * Turns nodes that work element by element into a program for vectors. Intermediate results share registers; a result
 * that replaces a vector is written over it at once where nothing reads the old values any more, and at the end otherwise.
 */
import { type ElementwiseProgram, type Operation, OPERATIONS } from '../aggregation/elementwise.ts'

import type { Node } from './graph.ts'

export interface Assembly {
  program: ElementwiseProgram
  /** Values that the program takes as scalars, in its order. */
  scalars: string[]
}

/**
 * @param nodes in order; each has one output, and reads vectors, scalars and results of earlier ones
 * @param vectors names of the program's vectors, in its order
 * @param targets result → the vector that it replaces
 */
export function assemble(
  nodes: readonly Node[],
  vectors: readonly string[],
  targets: ReadonlyMap<string, string>,
): Assembly {
  const results = new Set(nodes.map(({ outputs }) => outputs[0] ?? ''))
  const read = new Set(nodes.flatMap(({ inputs }) => inputs))
  const scalars = [...read].filter((name) => !results.has(name) && !vectors.includes(name))
  const places = new Map([
    ...vectors.map((name, index) => [name, index] as const),
    ...scalars.map((name, index) => [name, -1 - index] as const),
  ])
  const lastUse = new Map(nodes.flatMap(({ inputs }, index) => inputs.map((name) => [name, index] as const)))
  const registers = new Registers(vectors.length)
  const code: number[] = []
  const atTheEnd: number[] = []
  for (const [index, { op, inputs, outputs }] of nodes.entries()) {
    const [result = ''] = outputs
    const [left = NaN, right = left] = inputs.map((name) => places.get(name) ?? NaN)
    for (const name of new Set(inputs)) {
      if (lastUse.get(name) === index && !targets.has(name)) registers.release(places.get(name) ?? NaN)
    }
    const target = targets.get(result)
    const isOverwritten = target !== undefined && (lastUse.get(target) ?? -1) <= index
    const place = isOverwritten ? (places.get(target) ?? NaN) : registers.take()
    places.set(result, place)
    code.push(numberOf(op), place, left, right)
    if (target !== undefined && !isOverwritten)
      atTheEnd.push(numberOf('Copy'), places.get(target) ?? NaN, place, place)
  }
  const program = {
    vectors: vectors.length,
    registers: registers.count,
    scalars: scalars.length,
    code: Int32Array.from([...code, ...atTheEnd]),
  }
  return { program, scalars }
}

function numberOf(op: string): number {
  const number = OPERATIONS.indexOf(op as Operation)
  if (number < 0) throw new Error(`unreachable: ${op} does not work element by element`)
  return number
}

class Registers {
  count = 0
  private readonly first: number
  private readonly free: number[] = []

  constructor(first: number) {
    this.first = first
  }

  take(): number {
    return this.free.pop() ?? this.first + this.count++
  }

  /** Does nothing for the place of a vector or a scalar. */
  release(place: number): void {
    if (place >= this.first) this.free.push(place)
  }
}
