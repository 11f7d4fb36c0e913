/*
 * What the compiler makes of a model, for a person to read before anything is trained: its operators, what will
 * learn, what is running state, and which float32 initializers stay as they are. Looks at the graph only.
 */
import type { Model } from './model.ts'
import { elementCount } from './manifest.ts'
import { prepare } from './prepare.ts'

export interface ReportedTensor {
  name: string
  shape: readonly number[]
  role: 'weight' | 'state' | 'constant'
}

export interface ModelReport {
  opset: number
  /** Operator → number of nodes that the output depends on. */
  operators: Record<string, number>
  tensors: ReportedTensor[]
  /** Elements of the parameter vector. */
  parameterCount: number
  trainableCount: number
}

/** Throws the ModelError of `assertTrainable` where that would. */
export function reportModel(model: Model, frozen: readonly string[] = []): ModelReport {
  const prepared = prepare(model, frozen)
  const operators: Record<string, number> = {}
  for (const { op } of prepared.model.nodes) operators[op] = (operators[op] ?? 0) + 1
  const tensors = prepared.parameters.map(({ name, value, trainable }): ReportedTensor => ({
    name,
    shape: value.shape,
    role: trainable ? 'weight' : 'state',
  }))
  for (const name of prepared.constants) {
    const value = model.initializers.get(name)
    if (value?.type === 'float32') tensors.push({ name, shape: value.shape, role: 'constant' })
  }
  const elements = (...roles: ReportedTensor['role'][]): number =>
    tensors
      .filter(({ role }) => roles.includes(role))
      .reduce((sum, { shape }) => sum + elementCount(shape), 0)
  return {
    opset: model.opset,
    operators,
    tensors,
    parameterCount: elements('weight', 'state'),
    trainableCount: elements('weight'),
  }
}
