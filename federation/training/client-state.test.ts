import { describe, expect, it } from 'vitest'

import { gradientWeight, nextClientControl, nextDynamicGradient } from './client-state.ts'

const plain = { momentum: 0, nesterov: false }

describe("SCAFFOLD's new control variate", () => {
  it('is the mean of the gradients that the steps followed', () => {
    // Gradients of two parameters in four steps; each step moved along g + c - cᵢ.
    const gradients = [
      [1, -2],
      [3, 0.5],
      [-1, 0.25],
      [0.5, 0.25],
    ]
    const learningRate = 0.1
    const controls = { serverControl: Float32Array.of(0.5, -1), clientControl: Float32Array.of(0.25, 2) }
    const reference = Float32Array.of(10, 20)
    const parameters = reference.map((start, index) => {
      const correction = controls.serverControl[index]! - controls.clientControl[index]!
      return gradients.reduce(
        (value, gradient) => value - learningRate * (gradient[index]! + correction),
        start,
      )
    })
    const next = nextClientControl({ reference, parameters }, controls, {
      steps: 4,
      learningRate,
      optimizer: plain,
    })
    expect(next[0]).toBeCloseTo(3.5 / 4, 4)
    expect(next[1]).toBeCloseTo(-1 / 4, 4)
    expect([...controls.clientControl]).toEqual([0.25, 2])
  })

  it('refuses vectors of different lengths', () => {
    const short = { reference: new Float32Array(3), parameters: new Float32Array(3) }
    const controls = { serverControl: new Float32Array(3), clientControl: new Float32Array(2) }
    expect(() => nextClientControl(short, controls, { steps: 1, learningRate: 1, optimizer: plain })).toThrow(
      'clientControl has 2 elements, reference has 3',
    )
  })
})

describe('the weight of the gradients in a result', () => {
  it.each([
    { name: 'without momentum is the number of steps', optimizer: plain, steps: 7, want: 7 },
    {
      // Moments 1, 1.5, 1.75.
      name: 'with momentum is the sum of the moments',
      optimizer: { momentum: 0.5, nesterov: false },
      steps: 3,
      want: 4.25,
    },
    {
      // 1 + 0.5 · each moment.
      name: "with Nesterov's momentum looks one step ahead",
      optimizer: { momentum: 0.5, nesterov: true },
      steps: 3,
      want: 5.125,
    },
  ])('$name', ({ optimizer, steps, want }) => {
    expect(gradientWeight(optimizer, steps)).toBe(want)
  })
})

describe("FedDyn's new gradient", () => {
  it('moves against the way that the parameters went', () => {
    const result = { reference: Float32Array.of(1, 2, 3), parameters: Float32Array.of(2, 2, 1) }
    const next = nextDynamicGradient(result, Float32Array.of(0.5, 0.5, 0.5), 0.25)
    expect([...next]).toEqual([0.25, 0.5, 1])
  })

  it('refuses vectors of different lengths', () => {
    const result = { reference: new Float32Array(3), parameters: new Float32Array(3) }
    expect(() => nextDynamicGradient(result, new Float32Array(4), 1)).toThrow(
      'dynamicGradient has 4 elements, reference has 3',
    )
  })
})
