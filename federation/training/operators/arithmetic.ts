/*
 * Add, Sub, Mul, Div with broadcasting.
 */
import { unbroadcast } from './broadcast.ts'
import { emitAsIs, type Emitter, input, type Operator } from './operator.ts'

type Step = (values: { dy: string; a: string; b: string; y: string }) => string

/** Both gradients: some steps at the output's shape, then the sum over the axes that were broadcast. */
function elementwise(rules: (emitter: Emitter) => { a: Step; b: Step }): Operator {
  return {
    emit: (node, emitter) => {
      const y = emitAsIs(node, emitter)
      const [a, b] = [input(node, 0), input(node, 1)]
      const { builder, shape } = emitter
      const rule = rules(emitter)
      return (dy) => [
        () => unbroadcast(builder, rule.a({ dy, a, b, y }), shape(y), shape(a)),
        () => unbroadcast(builder, rule.b({ dy, a, b, y }), shape(y), shape(b)),
      ]
    },
  }
}

export const arithmetic: Record<string, Operator> = {
  Add: elementwise(() => ({ a: ({ dy }) => dy, b: ({ dy }) => dy })),
  Sub: elementwise(({ builder }) => ({ a: ({ dy }) => dy, b: ({ dy }) => builder.add('Neg', [dy]) })),
  Mul: elementwise(({ builder }) => ({
    a: ({ dy, b }) => builder.add('Mul', [dy, b]),
    b: ({ dy, a }) => builder.add('Mul', [dy, a]),
  })),
  Div: elementwise(({ builder }) => ({
    a: ({ dy, b }) => builder.add('Div', [dy, b]),
    b: ({ dy, b, y }) => builder.add('Neg', [builder.add('Div', [builder.add('Mul', [dy, y]), b])]),
  })),
}
