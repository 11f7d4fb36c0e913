// Models of which a part, or a whole second one, belongs to each node. What a node does is in edge-agent/train/personal.ts.
import { z } from 'zod'
import { goesWithItsType, needsItsMember } from './members.ts'
import { validations } from './rules.ts'

const types = ['LocalParameters', 'Ditto'] as const

const localParameters = z
  .object({
    names: z
      .array(z.string().min(1).max(256))
      .min(1)
      .max(256)
      .meta({ 'x-kubernetes-list-type': 'set' })
      .describe(
        'Names of initializers, or patterns in which * stands for any characters. Running statistics may be named too. Each must match; some parameter that learns must be left.',
      ),
  })
  .optional()
  .describe('Parameters of type LocalParameters.')

const ditto = z
  .object({
    lambda: z
      .number()
      .gt(0)
      .max(1e6)
      .describe(
        "How strongly a node's own model is drawn to the global one: lambda / 2 times the squared distance.",
      ),
  })
  .optional()
  .describe('Parameters of type Ditto.')

export const Personalization = z
  .object({
    type: z
      .enum(types)
      .describe(
        'LocalParameters: some parameters stay on each node and are not merged (FedPer, FedBN). Ditto: each node trains a second model of its own, drawn to the global one.',
      ),
    localParameters,
    ditto,
  })
  .meta(validations(...goesWithItsType(...types), ...needsItsMember(...types)))
  .describe(
    "A model of its own for each node. Metrics are then those of the nodes' own models; what is published is the global one. Cannot be changed.",
  )
