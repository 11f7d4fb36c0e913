// Our side of the merging benchmarks: `ours.ts <updates> <values> [folder]`. It reads a job from each line of its standard
// input, does it, and answers with the processor seconds that it took. With a folder, the updates lie in files there.
import { createInterface } from 'node:readline'
import { readStrategyConfiguration } from '#federation/aggregation/configuration.ts'
import { float32File } from '#federation/aggregation/float32-file.ts'
import { mergeUpdates } from '#federation/aggregation/merge.ts'
import { loadKernels } from '#federation/aggregation/native-kernels.ts'
import { inMemory, zeros, type OpenReader } from '#federation/aggregation/reader.ts'
import { strategyOf } from '#federation/aggregation/strategies.ts'
import { updatePath, updateValues } from './inputs.ts'

const SLICE = 64 * 1024

const [updates = 0, values = 0] = process.argv.slice(2, 4).map(Number)
const folder = process.argv[4]
const { kernels, native, description } = loadKernels()
if (!native) throw new Error(`the compiled kernels are what is measured: ${description}`)
const arrays = folder === undefined ? Array.from({ length: updates }, (_, k) => updateValues(k, values)) : []

const merged = new Float32Array(values)

/** What the engine does with updates in memory, without copying them: sums by slices and the division into float32. */
function mergeInMemory(): Promise<void> {
  const weights = Float64Array.from(arrays, (_, k) => 100 + k)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const sums = new Float64Array(SLICE)
  for (let start = 0; start < values; start += SLICE) {
    const length = Math.min(SLICE, values - start)
    const slice = sums.subarray(0, length).fill(0)
    kernels.accumulate(
      slice,
      arrays.map((array) => array.subarray(start, start + length)),
      weights,
    )
    for (let i = 0; i < length; i++) merged[start + i] = (slice[i] as number) / total
  }
  return Promise.resolve()
}

async function merge(strategy: string): Promise<void> {
  const chosen = strategyOf(readStrategyConfiguration(JSON.parse(strategy)))
  const open = (k: number): OpenReader => {
    const array = arrays[k]
    return array ? inMemory(array) : float32File(updatePath(folder ?? '', k))
  }
  const sections = chosen.sections.length
  const parameterCount = Math.floor(values / (1 + sections))
  await mergeUpdates({
    strategy: chosen,
    updates: Array.from({ length: updates }, (_, k) => ({
      ...{ participant: `node-${String(k).padStart(4, '0')}`, samples: 100 + k, open: open(k) },
      ...{ steps: 10, initialLoss: 1, staleness: 0 },
    })),
    base: zeros(parameterCount),
    parameterCount,
    trainableCount: parameterCount,
    context: { round: 1, participants: updates, learningRate: 0.1 },
    kernels,
    write: async () => Promise.resolve(),
    writeState: chosen.serverState.map(() => async () => Promise.resolve()),
  })
}

process.stdout.write('{}\n')
for await (const job of createInterface(process.stdin)) {
  const peakBefore = process.resourceUsage().maxRSS
  const before = process.cpuUsage()
  await (job === 'kernels' ? mergeInMemory() : merge(job))
  const { user, system } = process.cpuUsage(before)
  const answer = {
    seconds: (user + system) / 1e6,
    peakBytes: process.resourceUsage().maxRSS * 1024,
    peakBeforeBytes: peakBefore * 1024,
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
