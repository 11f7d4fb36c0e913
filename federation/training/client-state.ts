/*
 * What a client keeps between rounds, worked out from what a round of training did. Every vector holds the part of
 * the parameters that learns (`trainableCount` elements of float32); sums are made in float64, arguments are not
 * modified.
 */
import type { OptimizerOf } from './optimizers/optimizer.ts'

export interface LocalResult {
  /** The global parameters that training started from. */
  reference: Float32Array
  /** The parameters that it ended with. */
  parameters: Float32Array
}

export interface LocalSteps {
  /** Steps of the optimiser. */
  steps: number
  learningRate: number
  optimizer: Pick<OptimizerOf<'SGD'>, 'momentum' | 'nesterov'>
}

export interface Controls {
  serverControl: Float32Array
  clientControl: Float32Array
}

/**
 * SCAFFOLD's new control variate of a client, option II of Karimireddy et al. (2020), algorithm 1, line 12:
 * cᵢ⁺ = cᵢ - c + (reference - parameters) / (K · learningRate). With momentum K is not the number of steps but the
 * sum of the weights that the gradients have in the result, so that cᵢ⁺ remains their mean.
 */
export function nextClientControl(
  { reference, parameters }: LocalResult,
  { serverControl, clientControl }: Controls,
  { steps, learningRate, optimizer }: LocalSteps,
): Float32Array {
  const vectors = { reference, parameters, serverControl, clientControl }
  checkLengths(vectors)
  const scale = 1 / (gradientWeight(optimizer, steps) * learningRate)
  return reference.map((start, index) => {
    const control = at(clientControl, index) - at(serverControl, index)
    return control + (start - at(parameters, index)) * scale
  })
}

/**
 * FedDyn's new gradient of a client, Acar et al. (2021), algorithm 1: h⁺ = h - α(parameters - reference).
 */
export function nextDynamicGradient(
  { reference, parameters }: LocalResult,
  dynamicGradient: Float32Array,
  alpha: number,
): Float32Array {
  checkLengths({ reference, parameters, dynamicGradient })
  return dynamicGradient.map((value, index) => value - alpha * (at(parameters, index) - at(reference, index)))
}

/**
 * By how much `steps` equal gradients move a parameter, in units of the learning rate: the number of steps without
 * momentum. With momentum μ the gradient of step k counts for 1 + μ + … + μ^(steps - k), with Nesterov's for one
 * power more.
 */
export function gradientWeight({ momentum, nesterov }: LocalSteps['optimizer'], steps: number): number {
  let [moment, sum] = [0, 0]
  for (let step = 0; step < steps; step++) {
    moment = momentum * moment + 1
    sum += nesterov ? 1 + momentum * moment : moment
  }
  return sum
}

function checkLengths(vectors: Record<string, Float32Array>): void {
  const [[first, { length }] = ['', new Float32Array(0)], ...others] = Object.entries(vectors)
  for (const [name, vector] of others) {
    if (vector.length !== length) {
      throw new RangeError(`${name} has ${vector.length} elements, ${first} has ${length}`)
    }
  }
}

function at(vector: Float32Array, index: number): number {
  return vector[index] ?? 0
}
