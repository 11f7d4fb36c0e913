/*
 * `tributary model compile`: from flags and a configuration file to the files that training runs on. The configuration
 * is the one that the compiler reads; flags stand above the file.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'

import type { Command } from 'commander'

import { Loss, Optimizer } from '#federation/training/configuration.ts'
import {
  type CompiledModel,
  type CompileReport,
  compileTraining,
  type Model,
  ModelError,
  type TrainingConfigurationInput,
} from '#federation/training/index.ts'
import { attempt, readBounded } from './files.ts'

export interface CompileFlags {
  readonly out: string
  readonly loss?: string
  readonly optimizer?: string
  readonly batchSize?: string
  readonly evaluationBatchSize?: string
  readonly frozen?: string[]
  readonly memoryLimit?: string
  readonly threads?: string
  readonly configuration?: string
  readonly json?: true
}

const CONFIGURATION_LIMIT = 2 ** 20

export function compileFlags(command: Command): Command {
  const types = (union: typeof Loss | typeof Optimizer): string =>
    union.options.map(({ shape }) => shape.type.value).join(', ')
  return command
    .requiredOption('--out <folder>', 'where the files go; made where it is missing')
    .option('--loss <type>', types(Loss))
    .option('--optimizer <type>', types(Optimizer))
    .option('--batch-size <rows>', 'rows of a training batch')
    .option(
      '--evaluation-batch-size <rows>',
      'rows of an evaluation batch; as many as in training when absent',
    )
    .option('--memory-limit <bytes>', 'what training may take beside the samples, for example 64Mi')
    .option('--threads <number>', 'processor threads that training computes with; 1 when absent')
    .option('--frozen <pattern...>', 'initializers that keep their value; * stands for any characters')
    .option('--configuration <file>', 'JSON with these and all other settings; flags stand above it')
}

/** Writes the files and returns the report. */
export async function compileInto(folder: string, model: Model, flags: CompileFlags): Promise<CompileReport> {
  const compiled = await compileTraining(model, await configurationFrom(flags))
  await attempt(folder, 'write', () => mkdir(folder, { recursive: true }))
  for (const [name, content] of Object.entries(filesOf(compiled))) {
    const file = path.join(folder, name)
    await attempt(file, 'write', () => writeFile(file, content))
  }
  return compiled.report
}

function filesOf(compiled: CompiledModel): Record<string, Uint8Array | string> {
  return {
    'training-step.onnx': compiled.trainingStep,
    'evaluation.onnx': compiled.evaluation,
    'manifest.json': jsonText(compiled.manifest),
    'parameters.bin': compiled.initialParameters,
    'report.json': jsonText(compiled.report),
  }
}

/** What is not right in it, the compiler's schema says. */
async function configurationFrom(flags: CompileFlags): Promise<TrainingConfigurationInput> {
  const { loss, optimizer, batchSize, evaluationBatchSize, frozen, memoryLimit, threads } = flags
  const given = {
    ...(flags.configuration !== undefined && (await configurationFile(flags.configuration))),
    ...(loss !== undefined && { loss: { type: loss } }),
    ...(optimizer !== undefined && { optimizer: { type: optimizer } }),
    ...(batchSize !== undefined && { batchSize: wholeNumber('--batch-size', batchSize) }),
    ...(evaluationBatchSize !== undefined && {
      evaluationBatchSize: wholeNumber('--evaluation-batch-size', evaluationBatchSize),
    }),
    ...(memoryLimit !== undefined && { memoryLimitBytes: bytes('--memory-limit', memoryLimit) }),
    ...(threads !== undefined && { threads: wholeNumber('--threads', threads) }),
    ...(frozen !== undefined && { frozen }),
  }
  return given as TrainingConfigurationInput
}

function wholeNumber(flag: string, text: string): number {
  if (/^[1-9][0-9]*$/.test(text)) return Number(text)
  throw new ModelError(`${flag} is ${JSON.stringify(text)}, expected a whole number of 1 or more`)
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
}

function bytes(flag: string, text: string): number {
  const [, count, unit = ''] = /^([1-9][0-9]*)(k|M|G|Ki|Mi|Gi)?$/.exec(text) ?? []
  if (count !== undefined) return Number(count) * (UNITS[unit] ?? 1)
  throw new ModelError(
    `${flag} is ${JSON.stringify(text)}, expected a whole number of bytes, or of k, M, G, Ki, Mi or Gi`,
  )
}

async function configurationFile(file: string): Promise<object> {
  const text = Buffer.from(await readBounded(file, CONFIGURATION_LIMIT)).toString('utf8')
  const value = parsed(text)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new ModelError(`${file} is not a training configuration: expected a JSON object`)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
