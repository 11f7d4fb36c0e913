/*
 * Personalisation: parameters, or a whole second model, that belong to the node that trains them and never travel. Which
 * parameters stay on the node is written into the manifest, so that both sides take it from one place.
 */
import { z } from 'zod'

import { compileTraining, type CompiledModel } from './compile.ts'
import type { TrainingConfigurationInput } from './configuration.ts'
import { ModelError } from './errors.ts'
import { quoted } from './graph.ts'
import { elementCount, type TrainingManifest } from './manifest.ts'
import type { Model } from './model.ts'
import { matchesPattern } from './parameters.ts'

export const Personalization = z.discriminatedUnion('type', [
  /** FedPer (Arivazhagan et al., 2019) with the last layers, FedBN (Li et al., 2021) with the normalisation layers. */
  z.strictObject({
    type: z.literal('LocalParameters'),
    /** Initializers that stay on the node: exact names, or patterns in which `*` stands for any characters. */
    names: z.array(z.string().min(1).max(256)).min(1).max(256),
  }),
  /** Ditto (Li et al., 2021): a second model with the term lambda / 2 · ‖v - w‖², w being the global one. */
  z.strictObject({ type: z.literal('Ditto'), lambda: z.number().positive() }),
])
export type Personalization = z.infer<typeof Personalization>

export interface PersonalizedModel {
  /** What nodes train together. With LocalParameters its manifest says which parameters stay where they are. */
  readonly shared: CompiledModel
  /** With Ditto, the model that each node trains for itself: of the same layout. */
  readonly personal?: CompiledModel
}

/** @throws ModelError when a pattern names no parameter that learns or is kept as state, or when nothing is left to share */
export async function compilePersonalized(
  model: Model,
  configuration: TrainingConfigurationInput,
  personalization?: Personalization,
): Promise<PersonalizedModel> {
  const shared = await compileTraining(model, configuration)
  switch (personalization?.type) {
    case undefined:
      return { shared }
    case 'LocalParameters': {
      const manifest = withLocalParameters(shared.manifest, personalization.names)
      return { shared: { ...shared, manifest } }
    }
    case 'Ditto': {
      const objective = { type: 'Proximal' as const, mu: personalization.lambda }
      return { shared, personal: await compileTraining(model, { ...configuration, objective }) }
    }
  }
}

function withLocalParameters(manifest: TrainingManifest, patterns: readonly string[]): TrainingManifest {
  const names = [...new Set(manifest.parameters.map(({ initializer }) => initializer))]
  const idle = patterns.find((pattern) => !names.some((name) => matchesPattern(name, pattern)))
  if (idle !== undefined) {
    const known = names.slice(0, 20).map(quoted).join(', ') + (names.length > 20 ? ', …' : '')
    throw new ModelError(`localParameters: ${quoted(idle)} matches no parameter; training changes ${known}`)
  }
  const parameters = manifest.parameters.map((parameter) => {
    const isLocal = patterns.some((pattern) => matchesPattern(parameter.initializer, pattern))
    return isLocal ? { ...parameter, local: true as const } : parameter
  })
  if (!parameters.some(({ trainable, local }) => trainable && !local)) {
    throw new ModelError(
      'localParameters: every parameter that learns would stay on the node; none is left to merge',
    )
  }
  return { ...manifest, parameters }
}

/** Values from `start` up to `end`, which is not one of them. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** Where the values lie that stay on the node, ascending in the vector of all parameters. */
export function localRanges({ parameters }: Pick<TrainingManifest, 'parameters'>): Range[] {
  return parameters
    .filter(({ local }) => local)
    .map(({ offset, shape }) => ({ start: offset, end: offset + elementCount(shape) }))
}

/** Sets the values of the ranges to zero. @param start place of the first value in the vector that the ranges are about */
export function clearRanges(values: Float32Array, ranges: readonly Range[], start = 0): void {
  for (const range of ranges) {
    const first = Math.max(0, range.start - start)
    const end = Math.min(values.length, range.end - start)
    if (first < end) values.fill(0, first, end)
  }
}
