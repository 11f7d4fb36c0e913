#!/usr/bin/env node
// `tributary`: looks into a model before anything is deployed. `model inspect` says what would train and what stands in
// the way; `model compile` writes the graphs that training would run. A failure is one line on standard error and exit
// status 1; an inspection that finds the model not trainable ends with 1 as well.
import { Command } from 'commander'
import packageDescription from '../../package.json' with { type: 'json' }
import { compileFlags, compileInto, type CompileFlags } from './compile.ts'
import { readModelFile } from './files.ts'
import { inspect } from './inspect.ts'
import { inspectionText, reportText } from './text.ts'

interface InspectFlags {
  readonly frozen?: string[]
  readonly json?: true
}

const print = (value: unknown, text: string, json: true | undefined): boolean =>
  process.stdout.write(json ? `${JSON.stringify(value, undefined, 2)}\n` : text)

async function inspectFile(file: string, flags: InspectFlags): Promise<void> {
  const inspection = inspect(await readModelFile(file), flags.frozen)
  print(inspection, inspectionText(inspection), flags.json)
  if (!inspection.trainable) process.exitCode = 1
}

async function compileFile(file: string, flags: CompileFlags): Promise<void> {
  const report = await compileInto(flags.out, await readModelFile(file), flags)
  print(report, `${reportText(report)}\nwritten to ${flags.out}\n`, flags.json)
}

async function run(work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(`tributary: ${onOneLine(message)}\n`)
    process.exitCode = 1
  }
}

/** A schema's complaints come a line each. */
function onOneLine(message: string): string {
  return message
    .replace('✖ ', '')
    .replaceAll(/\s*\n✖/g, ';')
    .replaceAll(/\s*\n\s*/g, ' ')
}

const program = new Command('tributary')
  .description('Federated learning as a Kubernetes resource: tools that need no cluster')
  .version(packageDescription.version)
const model = program.command('model').description('look into a model, or compile it for training')

model
  .command('inspect')
  .description(
    'say what of a model would learn, and everything that would refuse it (then with exit status 1)',
  )
  .argument('<file>', 'an ONNX file')
  .option('--frozen <pattern...>', 'initializers that keep their value; * stands for any characters')
  .option('--json', 'answer in JSON')
  .action((file: string, flags: InspectFlags) => run(inspectFile(file, flags)))

compileFlags(
  model
    .command('compile')
    .description('write training-step.onnx, evaluation.onnx, manifest.json, parameters.bin and report.json')
    .argument('<file>', 'an ONNX file'),
)
  .option('--json', 'print the report in JSON')
  .action((file: string, flags: CompileFlags) => run(compileFile(file, flags)))

await program.parseAsync()
