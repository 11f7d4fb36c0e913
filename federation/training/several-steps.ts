/*
 * The training step as it is published: over a data set that stays in memory, with the row numbers of each batch,
 * and several steps a call. The steps are the iterations of one Loop, which carries parameters and optimiser state
 * from one to the next; they give the same bits as as many calls of one step. A call has a price of its own (about
 * 6 µs a tensor), which the steps of a small model would otherwise pay each time.
 */
import { GraphBuilder } from './builder.ts'
import { type Graph, type Node, renamed, type ValueInfo, valuesOf } from './graph.ts'

/** What the inputs and outputs of a graph of one step are for. */
export interface StepRoles {
  /** A row for each sample: of the batch in one step, of the whole data set in the published graph. */
  samples: readonly string[]
  /** What differs from step to step; has an axis of steps in the published graph. */
  perStep: readonly string[]
  /** What a step makes new from the old. */
  carried: readonly { name: string; output: string }[]
  loss: string
  batchSize: number
}

export interface SeveralSteps {
  graph: Graph
  /** Graph input [stepsPerCall, batch], int32: a batch's rows in the data set. */
  rows: string
  /** Graph input [], int64: how many steps to take, from 1 to stepsPerCall. Absent where that is 1. */
  steps?: string
}

export function severalSteps(step: Graph, roles: StepRoles, stepsPerCall: number): SeveralSteps {
  const builder = new GraphBuilder(valuesOf(step))
  const rows = builder.input('rows', [stepsPerCall, roles.batchSize], 'int32')
  const inputs = [...step.inputs.map((info) => publishedInput(info, roles, stepsPerCall)), ...builder.inputs]
  const context = { builder, step, roles, rows }
  if (stepsPerCall === 1) return { graph: { ...unrolled(context), inputs }, rows }
  const steps = builder.input('steps', [], 'int64')
  return {
    graph: { ...looped(context, steps), inputs: [...inputs, ...builder.inputs.slice(1)] },
    rows,
    steps,
  }
}

interface Context {
  builder: GraphBuilder
  step: Graph
  roles: StepRoles
  rows: string
}

function publishedInput(info: ValueInfo, { samples, perStep }: StepRoles, stepsPerCall: number): ValueInfo {
  if (samples.includes(info.name)) return { ...info, shape: ['samples', ...info.shape.slice(1)] }
  return perStep.includes(info.name) ? { ...info, shape: [stepsPerCall, ...info.shape] } : info
}

/** One step, without a loop. */
function unrolled(context: Context): Omit<Graph, 'inputs'> {
  const { builder, step, roles } = context
  const first = builder.constant({ type: 'int64', shape: [], data: BigInt64Array.of(0n) })
  const names = cutBatch(context, first)
  names.set(roles.loss, builder.fresh(`${roles.loss}.step`))
  const body = renamed(step, names)
  const loss = node('Reshape', [names.get(roles.loss) ?? '', builder.int64([1])], roles.loss)
  return {
    outputs: publishedOutputs(step, roles, 1),
    initializers: new Map([...step.initializers, ...builder.initializers]),
    nodes: [...builder.nodes, ...body.nodes, loss],
    ...(body.values && { values: body.values }),
  }
}

function looped(context: Context, steps: string): Omit<Graph, 'inputs'> {
  const { builder, step, roles } = context
  const iteration = builder.fresh('iteration')
  const names = cutBatch(context, iteration)
  for (const name of [roles.loss, ...roles.carried.flatMap((each) => [each.name, each.output])]) {
    names.set(name, builder.fresh(`${name}.step`))
  }
  const body = renamed(step, names)
  const [goesOn, goesOnStill] = [builder.fresh('goes_on'), builder.fresh('goes_on.next')]
  const inner = (name: string): string => names.get(name) ?? name
  const carriedIn = roles.carried.map(({ name }) => ({ ...infoOf(step.inputs, name), name: inner(name) }))
  const outputs = [...roles.carried.map(({ output }) => output), roles.loss]
  const loop: Node = {
    ...node('Loop', [steps, '', ...roles.carried.map(({ name }) => name)], ''),
    name: 'steps',
    outputs,
    attributes: {
      body: {
        kind: 'graph',
        value: {
          inputs: [
            { name: iteration, type: 'int64', shape: [] },
            { name: goesOn, type: 'bool', shape: [] },
            ...carriedIn,
          ],
          outputs: [
            { name: goesOnStill, type: 'bool', shape: [] },
            ...outputs.map((name) => ({ ...infoOf(step.outputs, name), name: inner(name) })),
          ],
          initializers: new Map([...step.initializers, ...builder.initializers]),
          nodes: [...builder.nodes, node('Identity', [goesOn], goesOnStill), ...body.nodes],
          ...(body.values && { values: body.values }),
        },
      },
    },
  }
  return { outputs: publishedOutputs(step, roles, 'steps'), initializers: new Map(), nodes: [loop] }
}

/** Adds what cuts a step's batch out of the inputs; returns the new names of what the step reads. */
function cutBatch({ builder, roles, rows }: Context, iteration: string): Map<string, string> {
  const cut = (name: string, indices: string): [string, string] => [
    name,
    builder.add('Gather', [name, indices], {}, `${name}.step`),
  ]
  const [, batchRows] = cut(rows, iteration)
  return new Map([
    ...roles.perStep.map((name) => cut(name, iteration)),
    ...roles.samples.map((name) => cut(name, batchRows)),
  ])
}

function publishedOutputs(step: Graph, { loss }: StepRoles, steps: number | string): Graph['outputs'] {
  return step.outputs.map((output) =>
    output.name === loss ? { name: loss, type: 'float32', shape: [steps] } : output,
  )
}

function infoOf(infos: Graph['outputs'], name: string): ValueInfo {
  const found = infos.find((info) => info.name === name)
  if (found && 'type' in found) return found
  throw new Error(`unreachable: ${name} is not declared with its type`)
}

function node(op: string, inputs: readonly string[], output: string): Node {
  return { op, name: `${output}.published`, inputs, outputs: [output], attributes: {} }
}
