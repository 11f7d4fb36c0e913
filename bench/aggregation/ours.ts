// Our side of the merging benchmarks: `ours <updates> <values> [folder]`. It reads the configuration of a strategy from each
// line of its standard input, merges, and answers with the processor seconds that it took. With a folder, the updates lie
// in files there. A line that begins with `warm` merges a few small updates often, as a hub has done that runs for long.
import { createInterface } from 'node:readline'
import { readStrategyConfiguration } from '#federation/aggregation/configuration.ts'
import { float32File } from '#federation/aggregation/float32-file.ts'
import { mergeUpdates } from '#federation/aggregation/merge.ts'
import { loadKernels } from '#federation/aggregation/native-kernels.ts'
import { inMemory, zeros, type OpenReader } from '#federation/aggregation/reader.ts'
import { strategyOf } from '#federation/aggregation/strategies.ts'
import { updatePath, updateValues } from './inputs.ts'

const WARM = { merges: 100, updates: 25, values: 64 }

const [updates = 0, values = 0] = process.argv.slice(2, 4).map(Number)
const folder = process.argv[4]
const { kernels, native, description } = loadKernels()
if (!native) throw new Error(`the compiled kernels are what is measured: ${description}`)
const open =
  folder === undefined
    ? Array.from({ length: updates }, (_, k) => inMemory(updateValues(k, values)))
    : Array.from({ length: updates }, (_, k) => float32File(updatePath(folder, k)))

async function merge(configuration: string, given: readonly OpenReader[], length: number): Promise<void> {
  const strategy = strategyOf(readStrategyConfiguration(JSON.parse(configuration)))
  const parameterCount = Math.floor(length / (1 + strategy.sections.length))
  await mergeUpdates({
    strategy,
    updates: given.map((reader, k) => ({
      ...{ participant: `node-${String(k).padStart(4, '0')}`, samples: 100 + k, open: reader },
      ...{ steps: 10, initialLoss: 1, staleness: 0 },
    })),
    base: zeros(parameterCount),
    parameterCount,
    trainableCount: parameterCount,
    context: { round: 1, participants: given.length, learningRate: 0.1 },
    kernels,
    write: async () => Promise.resolve(),
    writeState: strategy.serverState.map(() => async () => Promise.resolve()),
  })
}

async function warm(configuration: string): Promise<void> {
  const small = Array.from({ length: WARM.updates }, (_, k) => inMemory(updateValues(k, WARM.values)))
  for (let turn = 0; turn < WARM.merges; turn++) await merge(configuration, small, WARM.values)
}

process.stdout.write('{}\n')
for await (const line of createInterface(process.stdin)) {
  const [, isWarm, configuration = ''] = /^(warm )?(.*)$/.exec(line) ?? []
  const before = process.cpuUsage()
  await (isWarm ? warm(configuration) : merge(configuration, open, values))
  const { user, system } = process.cpuUsage(before)
  const answer = {
    seconds: (user + system) / 1e6,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
