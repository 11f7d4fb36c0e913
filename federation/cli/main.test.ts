/*
 * The tool as people run it: as a process, on files.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { CompileReport } from '#federation/training/index.ts'
import { readManifest } from '#federation/training/manifest.ts'
import { MLP, modelBytes, node, x } from '#federation/training/testdata/models.ts'

const entry = fileURLToPath(new URL('main.ts', import.meta.url))
const cnn = fileURLToPath(new URL('../training/testdata/cnn.onnx', import.meta.url))

interface Answer {
  status: number
  stdout: string
  stderr: string
}

async function tributary(...args: string[]): Promise<Answer> {
  return await new Promise((resolve) => {
    execFile(process.execPath, [entry, ...args], { timeout: 25_000 }, (error, stdout, stderr) => {
      resolve({ status: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

describe('tributary model', () => {
  let folder: string
  const inFolder = (name: string): string => path.join(folder, name)

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'tributary-cli-'))
    const untrainable = modelBytes({
      inputs: [x('batch', 'length')],
      nodes: [node('Det', ['x'], 'h'), node('MatMul', ['h', 'w1'], 'y')],
      initializers: MLP.initializers!,
    })
    await writeFile(inFolder('untrainable.onnx'), untrainable)
    await writeFile(inFolder('text.onnx'), 'not a model')
    await writeFile(inFolder('list.json'), '[]')
    const settings = { optimizer: { type: 'SGD', momentum: 0.5 }, batchSize: 3, stepsPerCall: 4 }
    await writeFile(inFolder('settings.json'), JSON.stringify(settings))
  })

  afterAll(async () => {
    await rm(folder, { recursive: true })
  })

  it('inspect describes a model that can be trained', async () => {
    const { status, stdout, stderr } = await tributary('model', 'inspect', cnn)
    expect(stderr).toBe('')
    expect(status).toBe(0)
    const lines = stdout.split('\n').map((line) => line.replaceAll(/ +/g, ' '))
    expect(lines).toContain('input x float32 [batch, 1, 8, 8]')
    expect(lines).toContain('Conv 2 yes')
    expect(lines).toContain('Constant 2 constants')
    expect(lines).toContain('4.weight [10, 6, 3, 3] 540 learns')
    expect(lines).toContain('5.running_var [10] 10 state')
    expect(lines).toContain('806 elements learn, 32 are running state, 0 keep their value')
    expect(lines.at(-2)).toBe('can be trained')
  })

  it('inspect tells machines the same, with what is frozen', async () => {
    const { stdout } = await tributary('model', 'inspect', cnn, '--json', '--frozen', '0.*', '4.bias')
    expect(JSON.parse(stdout)).toMatchObject({
      trainable: true,
      problems: [],
      elements: { learns: 736, state: 32, constant: 70 },
    })
  })

  it('inspect names everything that is in the way, and ends with status 1', async () => {
    const { status, stdout, stderr } = await tributary('model', 'inspect', inFolder('untrainable.onnx'))
    expect(status).toBe(1)
    expect(stderr).toBe('')
    expect(stdout).toMatch(/^Det +1 +no$/m)
    const problems = stdout.slice(stdout.indexOf('cannot be trained:'))
    expect(problems).toMatch(/\n {2}- input "x": dimension 1 is "length"/)
    expect(problems).toMatch(/\n {2}- operators without a gradient: "Det"/)
  })

  it('compile writes the files that training runs on', async () => {
    const out = inFolder('deep/compiled')
    const flags = [
      '--loss',
      'SoftmaxCrossEntropy',
      '--configuration',
      inFolder('settings.json'),
      '--batch-size',
      '5',
      '--memory-limit',
      '64Mi',
      '--threads',
      '2',
    ]
    const { status, stdout, stderr } = await tributary('model', 'compile', cnn, '--out', out, ...flags)
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^batch +5 rows in training, 5 in evaluation$/m)
    expect(stdout).toMatch(/^threads +2, which share out the single operators$/m)
    expect(stdout).toMatch(/^plan +limit 64\.0 MiB: the batch at once, activations kept$/m)
    expect((await readdir(out)).sort()).toEqual([
      'evaluation.onnx',
      'manifest.json',
      'parameters.bin',
      'report.json',
      'training-step.onnx',
    ])
    const manifest = readManifest(JSON.parse(await readFile(path.join(out, 'manifest.json'), 'utf8')))
    expect(manifest).toMatchObject({ batchSize: 5, optimizer: { type: 'SGD', momentum: 0.5 } })
    expect((await readFile(path.join(out, 'parameters.bin'))).length).toBe(4 * manifest.parameterCount)
    const report = JSON.parse(await readFile(path.join(out, 'report.json'), 'utf8')) as CompileReport
    const step = await readFile(path.join(out, 'training-step.onnx'))
    expect(report.files.trainingStep).toBe(step.length)
    expect(report.stepsPerCall).toBe(4)
  })

  const refused: { name: string; args: () => string[]; want: RegExp }[] = [
    {
      name: 'a file that is not there',
      args: () => ['inspect', inFolder('nothing.onnx')],
      want: /cannot read .*nothing\.onnx: there is no such file or folder/,
    },
    {
      name: 'a folder',
      args: () => ['inspect', folder],
      want: /cannot read .*: it is a folder, not a file/,
    },
    {
      name: 'a file that is not a model',
      args: () => ['inspect', inFolder('text.onnx')],
      want: /the bytes are not an ONNX model/,
    },
    {
      name: 'to compile a model that cannot be trained',
      args: () =>
        compile(inFolder('untrainable.onnx'), '--loss', 'Huber', '--optimizer', 'SGD', '--batch-size', '2'),
      want: /the model cannot be trained: input "x": dimension 1.*without a gradient: "Det"/,
    },
    {
      name: 'a loss that does not exist, and a missing batch size',
      args: () => compile(cnn, '--loss', 'Hinge', '--optimizer', 'SGD'),
      want: /training configuration: .*batchSize.*; .*SoftmaxCrossEntropy.*loss\.type/,
    },
    {
      name: 'a batch size that is no number',
      args: () => compile(cnn, '--loss', 'SoftmaxCrossEntropy', '--optimizer', 'SGD', '--batch-size', '2e'),
      want: /--batch-size is "2e", expected a whole number of 1 or more/,
    },
    {
      name: 'a memory limit with a unit that does not exist',
      args: () => compile(cnn, '--configuration', inFolder('settings.json'), '--memory-limit', '64MB'),
      want: /--memory-limit is "64MB", expected a whole number of bytes, or of k, M, G, Ki, Mi or Gi/,
    },
    {
      name: 'a model that needs more memory than it may take',
      args: () =>
        compile(cnn, ...['--configuration', inFolder('settings.json'), '--memory-limit', '1k']).concat(
          ...['--loss', 'SoftmaxCrossEntropy'],
        ),
      want: /memoryLimit is 1000 bytes; training needs about \d+ at least/,
    },
    {
      name: 'a configuration that is no object',
      args: () => compile(cnn, '--configuration', inFolder('list.json')),
      want: /list\.json is not a training configuration: expected a JSON object/,
    },
    {
      name: 'a configuration without an end',
      args: () => compile(cnn, '--configuration', '/dev/zero'),
      want: /\/dev\/zero has more than \d+ bytes, the limit/,
    },
    {
      name: 'to write where a file is',
      args: () => [
        ...['compile', cnn, '--out', path.join(inFolder('list.json'), 'out')],
        ...['--loss', 'SoftmaxCrossEntropy', '--optimizer', 'SGD', '--batch-size', '2'],
      ],
      want: /cannot write .*list\.json.*: a part of the path is a file, not a folder/,
    },
  ]
  const compile = (file: string, ...flags: string[]): string[] => [
    ...['compile', file, '--out', inFolder('out')],
    ...flags,
  ]
  it.each(refused)('refuses $name in one line', async ({ args, want }) => {
    const { status, stdout, stderr } = await tributary('model', ...args())
    expect(status).toBe(1)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^tributary: [^\n]+\n$/)
    expect(stderr).toMatch(want)
  })
})
