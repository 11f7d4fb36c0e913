/*
 * Where parameters and the optimiser's state are between two steps, and how a step renews them. No step allocates.
 *   in the graph: two buffers of everything take turns; a call reads one and writes the other;
 *   on the host: a call writes gradients, from which the optimiser's step renews everything in place.
 */
import type { Tensor } from 'onnxruntime-node'

import type { Kernels } from '../aggregation/kernels.ts'

import { parameterTensors, tensor, type Tensors } from './feeds.ts'
import { hostStep } from './host-step.ts'
import { elementCount, type StateTensor, type TrainingManifest } from './manifest.ts'
import type { TrainingMemory } from './memory.ts'

export interface TrainingState {
  /** The new parameters, once `renew` was called. */
  parameters: Float32Array<ArrayBuffer>
  /** What the next call reads, beside samples and what differs from step to step. */
  feeds: Tensors
  fetches: Record<string, Tensor | null>
  /** @param step the number of the last step of the call that was made, from 1 on */
  renew: (step: number) => void
}

export interface Start {
  manifest: TrainingManifest
  /** They are copied. */
  parameters: Float32Array
  learningRate: number
  memory: TrainingMemory
}

/** Where the optimiser's step is calculated. */
export interface Host {
  kernels: Pick<Kernels, 'runElementwise'>
  threads: number
}

export function newTrainingState(start: Start, host: Host): TrainingState {
  start.memory.begin()
  return start.manifest.update === 'Host' ? stateOnHost(start, host) : stateInGraph(start)
}

function stateInGraph({ manifest, parameters: given, memory }: Start): TrainingState {
  const vectors = [memory.take(given.length), memory.take(given.length)]
  vectors[0]?.set(given)
  const [first, second] = vectors.map((parameters) => {
    const state = manifest.state.map((entry) => ({ ...entry, value: filled(entry, memory) }))
    const named = (key: 'name' | 'output'): Tensors => ({
      ...parameterTensors(manifest, parameters, key),
      ...Object.fromEntries(state.map((entry) => [entry[key], entry.value])),
    })
    return { parameters, feeds: named('name'), outputs: named('output') }
  })
  if (!first || !second) throw new Error('unreachable: there are two buffers')
  let [source, target] = [first, second]
  const state: TrainingState = {
    parameters: source.parameters,
    feeds: source.feeds,
    fetches: { ...target.outputs },
    renew: () => {
      ;[source, target] = [target, source]
      Object.assign(state, { parameters: source.parameters, feeds: source.feeds, fetches: target.outputs })
    },
  }
  return state
}

function stateOnHost(
  { manifest, parameters: given, learningRate, memory }: Start,
  { kernels, threads }: Host,
): TrainingState {
  const { program, state, scalars } = hostStep(manifest.optimizer)
  const parameters = memory.take(given.length)
  parameters.set(given)
  const made = memory.take(given.length)
  const learning = manifest.trainableCount
  const vectors = [
    parameters.subarray(0, learning),
    made.subarray(0, learning),
    ...state.map((initial) => memory.take(learning).fill(initial)),
  ]
  return {
    parameters,
    feeds: parameterTensors(manifest, parameters, 'name'),
    fetches: parameterTensors(manifest, made, 'output'),
    renew: (step) => {
      kernels.runElementwise(program, scalars(learningRate, step), vectors, threads)
      parameters.set(made.subarray(learning), learning)
    },
  }
}

function filled({ shape, initial }: StateTensor, memory: TrainingMemory): Tensor {
  return tensor(memory.take(elementCount(shape)).fill(initial), shape)
}
