/*
 * Every common model family, from the file that its framework's exporter wrote (zoo/make_*.py), unchanged: what learns is
 * what learns in the framework, the loss of each step is the framework's, and the published model predicts what the
 * framework's own trained model predicts.
 */
import { readFileSync } from 'node:fs'

import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'

import { compileTraining } from './compile.ts'
import { TrainingConfiguration } from './configuration.ts'
import { readModel } from './model.ts'
import { publishModel } from './publish.ts'
import { LocalTrainer } from './session.ts'

const numbers = z.array(z.number())
const Golden = z.object({
  family: z.string(),
  files: z.array(z.object({ file: z.string(), frozen: z.array(z.string()).default([]) })),
  configuration: TrainingConfiguration,
  learningRate: z.number(),
  count: z.number(),
  learning: z.number(),
  x: numbers,
  y: numbers,
  losses: numbers,
  outputs: numbers,
})
type Golden = z.infer<typeof Golden>

const cases = ['torch', 'tensorflow', 'sklearn'].flatMap((framework) =>
  readFileSync(new URL(`zoo/${framework}.jsonl`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => Golden.parse(JSON.parse(line)))
    .flatMap((golden) => golden.files.map(({ file, frozen }) => ({ file, frozen, golden }))),
)

describe('a model as its exporter wrote it', () => {
  it.each(cases)('$file trains as in its framework', async ({ file, frozen, golden }) => {
    const bytes = readFileSync(new URL(`zoo/${file}`, import.meta.url))
    const { losses, published, trainableCount } = await trained(bytes, golden, frozen)
    const outputs = await predictions(published, golden)

    expect(trainableCount).toBe(golden.learning)
    // Frameworks computed in float64; float32 rounds each loss, of about 1, by 6e-8. Only logits of about 8 are further apart.
    expect(losses.length).toBe(golden.losses.length)
    expect(worst(losses, golden.losses)).toBeLessThan(5e-7)
    expect(worst(outputs, golden.outputs)).toBeLessThan(2e-5)
  })
})

describe("scikit-learn's linear models", () => {
  it.each(['linear', 'logistic', 'pipeline'])(
    '%s is refused: it is of operators for inference only',
    (name) => {
      const bytes = readFileSync(new URL(`zoo/sklearn/${name}.onnx`, import.meta.url))
      expect(() => readModel(bytes)).toThrow(
        /is of the domain "ai.onnx.ml"; only standard ONNX operators are supported/,
      )
    },
  )
})

async function trained(bytes: Uint8Array, golden: Golden, frozen: string[]) {
  const compiled = await compileTraining(readModel(bytes), { ...golden.configuration, frozen })
  const trainer = await LocalTrainer.load(compiled)
  const isClass = compiled.manifest.label.type === 'int32'
  const losses: number[] = []
  const { parameters } = await trainer.trainEpochs({
    parameters: new Float32Array(compiled.initialParameters.buffer),
    samples: {
      x: Float32Array.from(golden.x),
      y: isClass ? Int32Array.from(golden.y) : Float32Array.from(golden.y),
      count: golden.count,
    },
    epochs: golden.losses.length,
    learningRate: golden.learningRate,
    seed: 1,
    onProgress: ({ loss }) => losses.push(loss),
  })
  await trainer.close()
  const published = publishModel(bytes, compiled.manifest, new Uint8Array(parameters.buffer))
  return { losses, published, trainableCount: compiled.manifest.trainableCount }
}

const INTEGERS: Record<string, (x: readonly number[]) => BigInt64Array | Int32Array> = {
  int64: (x) => BigInt64Array.from(x, BigInt),
  int32: (x) => Int32Array.from(x),
}

/** What ONNX Runtime makes of a model and the samples. */
async function predictions(model: Uint8Array, { x, count }: Golden): Promise<number[]> {
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 4 })
  const [input] = session.inputMetadata
  if (!input?.isTensor) throw new Error('the model has no input')
  const shape = [count, ...input.shape.slice(1).map(Number)]
  const data = INTEGERS[input.type]?.(x) ?? Float32Array.from(x)
  const { [session.outputNames[0] ?? '']: output } = await session.run({
    [input.name]: new Tensor(input.type, data, shape),
  })
  await session.release()
  return Array.from(output?.data ?? [], Number)
}

function worst(got: readonly number[], want: readonly number[]): number {
  return Math.max(...want.map((value, index) => Math.abs((got[index] ?? NaN) - value)))
}
