/*
 * The vectors of a local objective: which ones a compiled model needs, cut into the graph's tensors. A vector that
 * is missing, of another length, or not used is an error.
 */
import { tensor, type Tensors } from './feeds.ts'
import { ConstantRole, elementCount, type TrainingManifest } from './manifest.ts'

/** Each as long as the part of the parameter vector that learns (`trainableCount`), in its order. */
export type Constants = Partial<Record<ConstantRole, Float32Array>>

export function constantTensors(manifest: TrainingManifest, given: Constants = {}): Tensors {
  checkConstants(manifest, given)
  const offsets = new Map(manifest.parameters.map(({ name, offset }) => [name, offset]))
  const tensors: Tensors = {}
  for (const { name, role, parameter, shape } of manifest.constants) {
    const offset = offsets.get(parameter) ?? 0
    tensors[name] = tensor(
      given[role]?.subarray(offset, offset + elementCount(shape)) ?? new Float32Array(0),
      shape,
    )
  }
  return tensors
}

/** Throws a RangeError where a vector is missing, not wanted, or of another length. */
export function checkConstants(
  { constants, objective, trainableCount }: TrainingManifest,
  given: Constants,
): void {
  const wanted = new Set(constants.map(({ role }) => role))
  for (const role of ConstantRole.options) {
    const vector = given[role]
    if (vector && !wanted.has(role)) {
      throw new RangeError(`constants.${role} was given, but objective ${objective.type} does not use it`)
    }
    if (!vector && wanted.has(role)) {
      throw new RangeError(
        `constants.${role} is missing; objective ${objective.type} needs ${trainableCount} elements`,
      )
    }
    if (vector && vector.length !== trainableCount) {
      throw new RangeError(`constants.${role} has ${vector.length} elements, expected ${trainableCount}`)
    }
  }
}
