/*
 * Inspections and reports as text for a terminal: plain lines and aligned columns, no colours.
 */
import { quoted, type ValueInfo } from '#federation/training/graph.ts'
import { elementCount } from '#federation/training/manifest.ts'
import { planText } from '#federation/training/memory-plan.ts'
import type { CompileReport } from '#federation/training/report.ts'
import type { Inspection } from './inspect.ts'

export function inspectionText(inspection: Inspection): string {
  const { inputs, outputs, operators, parameters, elements, problems } = inspection
  return lines([
    `opset ${inspection.opset}, ${inspection.nodes} nodes`,
    ...inputs.map((info) => `input  ${valueText(info)}`),
    ...outputs.map((info) => `output ${valueText(info)}`),
    '',
    ...table([
      ['operator', 'count', 'gradient'],
      ...operators.map(({ operator, count, gradient }) => [safe(operator), String(count), gradient]),
    ]),
    '',
    ...table([
      ['parameter', 'shape', 'elements', ''],
      ...parameters.map(({ name, shape, part }) => [...sized(name, shape), part]),
    ]),
    '',
    `${elements.learns} elements learn, ${elements.state} are running state, ${elements.constant} keep their value`,
    ...(problems.length === 0
      ? ['can be trained']
      : ['cannot be trained:', ...problems.map((text) => `  - ${text}`)]),
  ])
}

export function reportText(report: CompileReport): string {
  const { operators, parameters, elements, nodes, memory, files } = report
  return lines([
    ...table([
      ['operator', 'model', 'training step', 'evaluation'],
      ...operators.map((entry) => [
        safe(entry.operator),
        ...[entry.model, entry.trainingStep, entry.evaluation].map(String),
      ]),
      ['all', String(nodes.model), String(nodes.trainingStep), String(nodes.evaluation)],
    ]),
    '',
    ...table([
      ['parameter', 'shape', 'elements', ''],
      ...parameters.map(({ name, shape, kind }) => [...sized(name, shape), kind]),
    ]),
    '',
    `elements     ${elements.trained} trained, ${elements.state} state, ${elements.frozen} frozen; ` +
      `${elements.optimizerState} of the optimiser, ${elements.constants} of the objective`,
    `folded       ${nodes.folded} of the model's ${nodes.model} nodes were computed once or are not used, ` +
      `${nodes.foldedInStep} more of the training step's were computed`,
    `batch        ${report.batchSize} rows in training, ${report.evaluationBatchSize} in evaluation`,
    `threads      ${threadsOf(report)}`,
    `calls        up to ${report.stepsPerCall} steps each`,
    `memory       ${size(memory.parameters)} parameters, ${size(memory.optimizerState)} optimiser state, ` +
      `${size(memory.values)} values of the model; training takes at most about ${size(memory.peak)}`,
    `plan         ${planOf(report)}`,
    `arithmetic   ${report.multiplyAddsPerSample} multiplications and additions a sample, forward`,
    `files        training step ${size(files.trainingStep)}, evaluation ${size(files.evaluation)}`,
  ])
}

function threadsOf({ threads, shards }: CompileReport): string {
  if (threads === 1) return '1'
  return `${threads}, ${shards > 1 ? `each batch in ${shards} shards` : 'which share out the single operators'}`
}

function planOf({ plan }: CompileReport): string {
  const { memoryLimitBytes, recomputedNodes } = plan
  const limit = memoryLimitBytes === undefined ? 'no limit' : `limit ${size(memoryLimitBytes)}`
  const again = recomputedNodes > 0 ? ` (${recomputedNodes} nodes)` : ''
  return `${limit}: ${planText(plan)}${again}`
}

function lines(parts: readonly string[]): string {
  return `${parts.join('\n')}\n`
}

function sized(name: string, shape: readonly number[]): string[] {
  return [safe(name), `[${shape.join(', ')}]`, String(elementCount(shape))]
}

function valueText(info: ValueInfo | { name: string }): string {
  if (!('type' in info)) return safe(info.name)
  const sizes = info.shape.map((entry) =>
    typeof entry === 'number' ? entry : safe(entry === '' ? '?' : entry),
  )
  return `${safe(info.name)} ${info.type} [${sizes.join(', ')}]`
}

/** Names come from the file: control characters are shown, not sent to the terminal. */
function safe(text: string): string {
  return quoted(text).slice(1, -1)
}

/** Columns as wide as their widest cell; numbers to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row, index) =>
    row
      .map((cell, column) => {
        const isNumber = /^\d+$/.test((index === 0 ? rows[1] : row)?.[column] ?? '')
        return isNumber ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)
      })
      .join('  ')
      .trimEnd(),
  )
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB'] as const

function size(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 2 ** (10 * power)
  return `${power === 0 ? value : value.toFixed(1)} ${UNITS[power] ?? ''}`
}
