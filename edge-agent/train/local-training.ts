// One round of training on a node as the campaign's strategy wants it: the vectors that the local objective needs, the
// training itself, and what comes of it: the update that travels and the state that stays. Same input, same bits.
import { nextClientControl, nextDynamicGradient } from '#federation/training/client-state.ts'
import type {
  Constants,
  LocalTrainer,
  TrainRequest,
  TrainResult,
  TrainingManifest,
} from '#federation/training/index.ts'
import { clearRanges, localRanges } from '#federation/training/personalization.ts'

import { TrainingFailure } from './failures.ts'
import { type ClientVectors, localParametersOf, trainPersonally, withLocalParameters } from './personal.ts'

export interface Trainers {
  /** Of what nodes train together. */
  readonly shared: LocalTrainer
  /** Of the node's own model, with Ditto. */
  readonly personal?: LocalTrainer | undefined
}

export interface LocalRound extends Omit<TrainRequest, 'constants'> {
  /** SCAFFOLD's control variate of the hub; zeros when absent. */
  readonly serverControl?: Float32Array | undefined
  /** What the node kept; a vector that is absent is zeros. */
  readonly state: ClientVectors
}

export interface LocalResult extends Omit<TrainResult, 'parameters' | 'epochLosses'> {
  /** What training changed of all parameters, then the sections that the strategy adds. */
  readonly update: Float32Array<ArrayBuffer>
  /** What the node keeps once the update is accepted. */
  readonly state: ClientVectors
}

export async function trainLocally(trainers: Trainers, round: LocalRound): Promise<LocalResult> {
  const { manifest } = trainers.shared
  const { serverControl: _server, state, ...request } = round
  const parameters = withLocalParameters(manifest, round.parameters, state)
  const shared = { ...request, parameters }
  const constants = constantsOf(manifest, { ...round, parameters })
  const result = await trainers.shared.trainEpochs({ ...shared, constants })
  const { parameters: trained, epochLosses: _epochs, ...facts } = result
  const outcome = outcomeOf(manifest, { request: shared, result, constants })
  const own = localParametersOf(manifest, trained)
  const change = difference(trained, parameters)
  clearRanges(change, localRanges(manifest))
  return {
    ...facts,
    update: joined([change, ...outcome.sections]),
    state: {
      ...state,
      ...outcome.state,
      ...own,
      ...(trainers.personal && (await trainPersonally(trainers.personal, request, state))),
    },
  }
}

/** The vectors that the graph's objective asks for. */
function constantsOf(
  { constants, trainableCount }: TrainingManifest,
  { parameters, serverControl, state }: LocalRound,
): Constants {
  const zeros = (): Float32Array => new Float32Array(trainableCount)
  const vectors = {
    reference: () => parameters.subarray(0, trainableCount),
    serverControl: () => serverControl ?? zeros(),
    clientControl: () => state['clientControl'] ?? zeros(),
    dynamicGradient: () => state['dynamicGradient'] ?? zeros(),
  }
  const roles = [...new Set(constants.map(({ role }) => role))]
  return Object.fromEntries(roles.map((role) => [role, vectors[role]()]))
}

interface Trained {
  readonly request: TrainRequest
  readonly result: TrainResult
  readonly constants: Constants
}

/**
 * The sections of the update, and the next state, of the objective that the graph was compiled for. Parameters that stay here
 * have no part in either: nothing corrects them, and a section would say how they moved.
 */
function outcomeOf(
  manifest: TrainingManifest,
  { request, result, constants }: Trained,
): { sections: Float32Array<ArrayBuffer>[]; state: ClientVectors } {
  const { objective, optimizer, trainableCount } = manifest
  const trained = {
    reference: request.parameters.subarray(0, trainableCount),
    parameters: result.parameters.subarray(0, trainableCount),
  }
  const { serverControl, clientControl, dynamicGradient } = constants
  if (objective.type === 'Scaffold' && optimizer.type === 'SGD' && serverControl && clientControl) {
    const steps = { steps: result.steps, learningRate: request.learningRate, optimizer }
    const next = nextClientControl(trained, { serverControl, clientControl }, steps)
    clearRanges(next, localRanges(manifest))
    return { sections: [difference(next.slice(), clientControl)], state: { clientControl: next } }
  }
  if (objective.type === 'FedDyn' && dynamicGradient) {
    const next = nextDynamicGradient(trained, dynamicGradient, objective.alpha)
    clearRanges(next, localRanges(manifest))
    return { sections: [], state: { dynamicGradient: next } }
  }
  return { sections: [], state: {} }
}

/** What `after` has more than `before`; it takes the place of `after`. */
function difference(after: Float32Array<ArrayBuffer>, before: Float32Array): Float32Array<ArrayBuffer> {
  const values = after
  // Zero for as long as all is finite: one look at the end, not one for each value.
  let doubt = 0
  for (let i = 0; i < values.length; i++) {
    const value = Math.fround((after[i] as number) - (before[i] as number))
    values[i] = value
    doubt += value * 0
  }
  if (doubt === 0) return values
  const wrong = values.findIndex((value) => !Number.isFinite(value))
  throw new TrainingFailure(
    'TrainingDiverged',
    `the change of value ${wrong} is ${values[wrong]}, beyond float32`,
  )
}

function joined(parts: readonly Float32Array<ArrayBuffer>[]): Float32Array<ArrayBuffer> {
  const [first] = parts
  if (first && parts.length === 1) return first
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let filled = 0
  for (const part of parts) {
    whole.set(part, filled)
    filled += part.length
  }
  return whole
}
