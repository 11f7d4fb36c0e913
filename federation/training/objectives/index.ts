/*
 * The local objectives of federated strategies, one file each. What they add to a gradient comes before clipping
 * and before the optimiser's weight decay.
 */
import type { GraphBuilder } from '../builder.ts'
import type { Objective } from '../configuration.ts'
import type { Trainable } from '../gradient.ts'
import type { Constant } from '../manifest.ts'
import { fedDyn } from './fed-dyn.ts'
import type { GradientRule, ObjectiveContext } from './objective.ts'
import { proximal } from './proximal.ts'
import { scaffold } from './scaffold.ts'

export interface LocalObjective {
  /** The parameters with the gradients of the whole objective. */
  trainable: Trainable[]
  constants: Constant[]
}

export function emitObjective(
  builder: GraphBuilder,
  objective: Objective,
  trainable: readonly Trainable[],
): LocalObjective {
  const constants: Constant[] = []
  const rule = ruleFor(objective, {
    builder,
    constant: ({ name: parameter, shape }, role) => {
      const name = builder.input(`${parameter}.${role}`, shape)
      constants.push({ name, role, parameter, shape: [...shape] })
      return name
    },
  })
  return { trainable: trainable.map((entry) => ({ ...entry, gradient: rule(entry) })), constants }
}

function ruleFor(objective: Objective, context: ObjectiveContext): GradientRule {
  switch (objective.type) {
    case 'Plain':
      return ({ gradient }) => gradient
    case 'Proximal':
      return proximal(objective, context)
    case 'Scaffold':
      return scaffold(context)
    case 'FedDyn':
      return fedDyn(objective, context)
  }
}
