/*
 * The memory that training a compiled model takes in a process, beside the samples and what the process takes before:
 * ONNX Runtime's code and the interpreter. An estimate from above for the runtime that is pinned in package.json, as
 * LocalTrainer runs it (one thread within an operator, or one a shard); docs/decisions/0046 has how it was measured.
 */
import type { Optimizer } from './configuration.ts'
import type { Graph, ValueInfo } from './graph.ts'
import { hostStep } from './host-step.ts'
import { bodiesOf, inferShapes } from './infer.ts'
import { elementCount, type TrainingManifest } from './manifest.ts'
import { peakBytes } from './peak-memory.ts'

/**
 * What the arena takes beyond the simulation: fused operators, and chunks that lie otherwise than it has them; and where
 * convolutions run on blocks of channels, images in that layout beside the other.
 */
const ARENA_MARGIN = 1.2
const ARENA_MARGIN_OF_CONVOLUTIONS = 1.5
/** A session, its allocator, and garbage of the interpreter between two collections. */
const FIXED = 4 * 2 ** 20
/** A thread's interpreter and session. */
const OF_A_THREAD = 36 * 2 ** 20
/** A session's own graph, in multiples of the file. */
const BYTES_A_FILE_BYTE = 12

const FLOAT_BYTES = 4

export interface TrainingSize {
  /** Elements of float32 outside the arenas (`heldElements`). */
  held: number
  /** Bytes of both files. */
  files: number
  /** Of all sessions. */
  arenas: number
  /** In threads of their own but one. */
  shards: number
}

export function trainingBytes({ held, files, arenas, shards }: TrainingSize): number {
  const threads = (shards - 1) * OF_A_THREAD
  return Math.ceil(FLOAT_BYTES * held + arenas + BYTES_A_FILE_BYTE * files + FIXED + threads)
}

/**
 * Parameters and optimiser state before and after a step; where the host updates, parameters and gradients, and the state
 * once; gradients for each shard, and then the result beside the parameters that all see. Also the copy that onnxruntime-node makes of what the graph gives out, and the objective's vectors.
 */
export function heldElements(
  optimizer: Optimizer,
  {
    update,
    parameters,
    state,
    constants,
  }: Pick<TrainingManifest, 'update' | 'parameters' | 'state' | 'constants'>,
  shards: number,
): number {
  const elements = (entries: readonly { shape: readonly number[] }[]): number =>
    entries.reduce((sum, { shape }) => sum + elementCount(shape), 0)
  const learning = elements(parameters.filter(({ trainable }) => trainable))
  const kept = update === 'Host' ? hostStep(optimizer).state.length * learning : 3 * elements(state)
  const vectors = shards === 1 ? 3 : 2 + 2 * shards
  return vectors * elements(parameters) + kept + elements(constants)
}

/**
 * Most bytes in the arena of a session.
 * @param samples rows of a data set, of which nothing is counted but the batch that is cut out
 */
export async function arenaBytes(graph: Graph, samples: number): Promise<number> {
  const sized = (shape: ValueInfo['shape']): ValueInfo['shape'] =>
    shape.map((size) => (size === 'samples' ? samples : size))
  const fixed = { ...graph, inputs: graph.inputs.map((info) => ({ ...info, shape: sized(info.shape) })) }
  const margin = hasConvolution(graph) ? ARENA_MARGIN_OF_CONVOLUTIONS : ARENA_MARGIN
  return Math.ceil(margin * peakBytes(fixed, await inferShapes(fixed)))
}

function hasConvolution({ nodes }: Graph): boolean {
  return nodes.some((node) => node.op === 'Conv' || bodiesOf(node).some(hasConvolution))
}
