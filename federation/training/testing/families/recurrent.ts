/*
 * LSTM, GRU and RNN: lengths on both sides of where steps stop being written out, each direction and both, with and
 * without biases and initial states.
 */
import fc from 'fast-check'

import { int } from '../../graph.ts'
import { type Family, type NodeCase, seeds, tensors } from '../node-case.ts'

const GATES = { LSTM: 4, GRU: 3, RNN: 1 }

const cases = fc
  .record({
    op: fc.constantFrom('LSTM', 'GRU', 'RNN'),
    steps: fc.constantFrom(1, 2, 3, 9),
    direction: fc.constantFrom('forward', 'reverse', 'bidirectional'),
    resetAfter: fc.nat(1),
    bias: fc.boolean(),
    initial: fc.boolean(),
    used: fc.integer({ min: 1, max: 2 }),
    sizes: fc.tuple(...[2, 2, 2].map((max) => fc.integer({ min: 1, max }))),
    seed: seeds,
  })
  .map(({ op, steps, direction, resetAfter, bias, initial, used, sizes, seed }): NodeCase => {
    const [batch = 1, size = 1, hidden = 1] = sizes
    const gates = GATES[op]
    const directions = direction === 'bidirectional' ? 2 : 1
    const states = initial ? Array<number[]>(op === 'LSTM' ? 2 : 1).fill([directions, batch, hidden]) : []
    const [x, w, r, ...rest] = tensors(
      [
        [steps, batch, size],
        [directions, gates * hidden, size],
        [directions, gates * hidden, hidden],
        ...(bias ? [[directions, 2 * gates * hidden]] : []),
        ...states,
      ],
      seed,
      { low: -1, high: 1 },
    )
    const inputs = [x, w, r, bias ? rest.shift() : undefined, undefined, ...rest]
    return {
      op,
      attributes: {
        hidden_size: int(hidden),
        direction: { kind: 'string', value: direction },
        ...(op === 'GRU' && { linear_before_reset: int(resetAfter) }),
      },
      inputs,
      learning: inputs.flatMap((input, index) => (input ? [index] : [])),
      outputs: used,
    }
  })

export const recurrent: readonly Family[] = [{ name: 'recurrent layers', cases }]
