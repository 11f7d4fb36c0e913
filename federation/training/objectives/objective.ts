/*
 * What a local objective is: a rule that adds its own term to the gradient of a parameter. Vectors that stay the
 * same during a round (the model that the round started from, control variates) enter the graph as constants,
 * which the host fills in once.
 */
import type { GraphBuilder } from '../builder.ts'
import type { Objective } from '../configuration.ts'
import type { Trainable } from '../gradient.ts'
import type { ConstantRole } from '../manifest.ts'

export type ObjectiveOf<Type extends Objective['type']> = Extract<Objective, { type: Type }>

export interface ObjectiveContext {
  builder: GraphBuilder
  /** A graph input of the parameter's shape that holds its part of the vector of this role. */
  constant: (parameter: Trainable, role: ConstantRole) => string
}

/** Returns the gradient with the objective's term. */
export type GradientRule = (parameter: Trainable) => string
