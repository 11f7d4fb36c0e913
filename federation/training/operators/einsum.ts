/*
 * Einsum. The gradient of an operand is another Einsum, of the output's gradient and the other operands; what was
 * summed in the operand alone is spread over it.
 */
import type { Shape } from '../builder.ts'
import { ModelError } from '../errors.ts'
import { describeNode, type Node, quoted, stringOf } from '../graph.ts'
import { emitAsIs, type Emitter, type Operator } from './operator.ts'

const einsumOperator: Operator = {
  refuse: (node) => {
    const { operands } = parse(node)
    const repeated = operands.find((labels) => new Set(labels).size !== labels.length)
    return repeated === undefined
      ? undefined
      : `its equation repeats an index in ${quoted(repeated)}; supported are different indices in an operand`
  },
  emit: (node, emitter) => {
    emitAsIs(node, emitter)
    const { operands, output } = withoutEllipsis(node, emitter)
    return (dy) =>
      node.inputs.map((_, index) => () => gradientOf(index, { node, emitter, operands, output, dy }))
  },
}

interface Equation {
  operands: string[]
  output: string
}

/** '...' is kept as one character, '.'. */
function parse(node: Node): Equation {
  const text = stringOf(node, 'equation', '').replaceAll(/\s/g, '').replaceAll('...', '.')
  const [left = '', output] = text.split('->')
  const operands = left.split(',')
  return { operands, output: output ?? implicitOutput(operands) }
}

/** Indices are single letters. */
function lettersOf(labels: string): string[] {
  return Array.from(labels)
}

/** Without an arrow: the indices that occur once, in alphabetical order. */
function implicitOutput(operands: readonly string[]): string {
  const all = lettersOf(operands.join(''))
  const once = all.filter((label) => label !== '.' && all.indexOf(label) === all.lastIndexOf(label))
  return (all.includes('.') ? '.' : '') + once.sort().join('')
}

const LETTERS = lettersOf('ABCDEFGHIJKLMNOPQRSTUVWXYZ')

/** The axes that an ellipsis stands for get letters of their own, aligned at the end. */
function withoutEllipsis(node: Node, { shape }: Emitter): Equation {
  const { operands, output } = parse(node)
  const ranks = operands.map((labels, index) => {
    return labels.includes('.') ? shape(node.inputs[index] ?? '').length - labels.length + 1 : 0
  })
  const used = new Set(lettersOf(operands.join('') + output))
  const rank = Math.max(...ranks)
  const letters = LETTERS.filter((letter) => !used.has(letter)).slice(0, rank)
  const named = (labels: string, own: number): string =>
    labels.replace('.', letters.slice(rank - own).join(''))
  return {
    operands: operands.map((labels, index) => named(labels, ranks[index] ?? 0)),
    output: named(output, rank),
  }
}

interface Term extends Equation {
  node: Node
  emitter: Emitter
  dy: string
}

function gradientOf(index: number, { node, emitter, operands, output, dy }: Term): string {
  const { builder, shape } = emitter
  const sizes = sizesOf(node, operands, emitter)
  const own = lettersOf(operands[index] ?? '')
  const others = operands.filter((_, other) => other !== index)
  const known = new Set(lettersOf(output + others.join('')))
  const reached = own.filter((label) => known.has(label)).join('')
  const equation = `${[output, ...others].join(',')}->${reached}`
  const values = [dy, ...node.inputs.filter((_, other) => other !== index)]
  const gradient = builder.add('Einsum', values, { equation: { kind: 'string', value: equation } })
  if (reached.length === own.length) return gradient
  const kept = own.map((label) => (known.has(label) ? (sizes.get(label) ?? 1) : 1))
  const whole = shape(node.inputs[index] ?? '')
  return builder.add('Expand', [builder.reshape(gradient, kept), builder.int64(whole)])
}

/** Size of every index; operands that broadcast over one another are refused. */
function sizesOf(node: Node, operands: readonly string[], { shape }: Emitter): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const [index, labels] of operands.entries()) {
    const own: Shape = shape(node.inputs[index] ?? '')
    for (const [axis, label] of lettersOf(labels).entries()) {
      const size = own[axis] ?? 1
      const known = sizes.get(label) ?? size
      if (known !== size) {
        throw new ModelError(
          `${describeNode(node)}: its index ${label} has sizes ${known} and ${size}; expected one size`,
        )
      }
      sizes.set(label, size)
    }
  }
  return sizes
}

export const einsum: Record<string, Operator> = { Einsum: einsumOperator }
