// What travels, in bytes, on the updates and versions of real trainings (McMahan's CNN and 2NN on 4,000 digits, six nodes): an
// update against NVFlare's quantisers at equal or lower error, a new version against zstd with the old one as its
// dictionary, and what Int8 with error feedback costs in accuracy.
//   node bench/bytes/main.ts [--models CNN,2NN] [--seeds 5] [--out FILE]
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { constants, zstdCompressSync } from 'node:zlib'

import { encodeUpdate, openUpdate, quantizationOf } from '#federation/tensors/codec.ts'
import type { UploadCodec } from '#federation/tensors/configuration.ts'
import type { Layout } from '#federation/tensors/layout.ts'
import { applyParameterDelta, encodeParameterDelta } from '#federation/tensors/parameter-delta.ts'
import { applyQuantizedDelta, quantizeForPublication } from '#federation/tensors/publication.ts'
import { decodeAll } from '#federation/tensors/reader.ts'
import { bytesSource } from '#federation/tensors/source.ts'

import { peerPython, readRequirements } from '../peers.ts'
import { inWords, report, type Row, row } from '../rows.ts'
import { load, train, type Trained } from './federation.ts'

const MODELS = [
  { name: 'CNN', file: 'cnn.onnx', rounds: 6, learningRate: 0.05 },
  { name: '2NN', file: '2nn.onnx', rounds: 8, learningRate: 0.1 },
]
const ACCURACY_ROUNDS = 20
const RANK = 16
const REPETITIONS = 5
const CODECS: UploadCodec[] = [
  { type: 'Float32' },
  { type: 'Float16' },
  { type: 'Int8', rank: RANK },
  { type: 'Int8', rank: 0 },
  { type: 'Int4', rank: RANK },
  { type: 'TopK', fraction: 0.01 },
  { type: 'SparseTernary', fraction: 0.01 },
]
/** Of NVFlare's quantisers, the ones with as many bits. */
const AGAINST = [
  { type: 'Int8', peer: 'blockwise8' },
  { type: 'Int4', peer: 'normfloat4' },
] as const

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'CNN,2NN' },
    seeds: { type: 'string', default: '5' },
    out: { type: 'string' },
  },
})
const PEER = new URL('peer.py', import.meta.url).pathname
const python = await peerPython(await readRequirements(new URL('requirements.txt', import.meta.url)))
const folder = mkdtempSync(join(tmpdir(), 'tributary-bench-bytes-'))
const rows: Row[] = []
const versions: Record<string, string> = {}
try {
  execFileSync(python, [PEER, 'export', folder], { stdio: ['ignore', 'ignore', 'inherit'] })
  const wanted = options.models.split(',')
  for (const { name, file, rounds, learningRate } of MODELS.filter((model) => wanted.includes(model.name))) {
    const federation = await load(join(folder, file))
    const trained = await train(federation, { rounds, learningRate, seed: 1 })
    const where = `${name}, round ${rounds}`
    console.table(await costs(trained.update, federation.layout))
    rows.push(
      ...(await uploads(where, trained, federation)),
      ...(await downloads(where, trained, federation.layout)),
    )
    await federation.trainer.close()
    process.stdout.write(`${rows.map(inWords).join('\n')}\n`)
  }
  rows.push(await accuracy(join(folder, '2nn.onnx'), Number(options.seeds)))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
report({ rows, versions })

async function uploads(
  where: string,
  { update }: Trained,
  { layout, shapes }: { layout: Layout; shapes: readonly (readonly number[])[] },
): Promise<Row[]> {
  const file = join(folder, 'update.f32')
  writeFileSync(file, new Uint8Array(update.buffer, update.byteOffset, update.byteLength))
  const found: Row[] = []
  for (const { type, peer } of AGAINST) {
    const theirs = nvflare(file, shapes, peer)
    const codec: UploadCodec = { type, rank: RANK }
    const encoded = encodeUpdate(update, layout, codec, 1)
    const error = relativeError(await decoded(encoded, layout, codec), update)
    const equal = error <= theirs.error
    found.push(
      row({
        name: `bytes of an upload at equal or lower error, ${type} against NVFlare ${peer}, ${where}`,
        value: equal ? theirs.bytes / encoded.length : null,
        goal: 2,
        note:
          `${encoded.length} bytes at relative error ${error.toFixed(4)}, ${theirs.bytes} bytes at ${theirs.error.toFixed(4)}` +
          (equal ? '' : '; the error is higher, so the bytes cannot be compared'),
      }),
    )
  }
  return found
}

function nvflare(
  file: string,
  shapes: readonly (readonly number[])[],
  type: string,
): { bytes: number; error: number } {
  const output = execFileSync(python, [PEER, 'quantize', file, JSON.stringify(shapes), type], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const line = output.split('\n').find((each) => each.startsWith('RESULT '))
  if (!line) throw new Error(`peer.py quantize ${type} printed no result`)
  const result = JSON.parse(line.slice('RESULT '.length)) as { bytes: number; error: number; version: string }
  versions['nvflare'] = result.version
  return result
}

async function downloads(where: string, { base, next }: Trained, layout: Layout): Promise<Row[]> {
  const zstd = zstdWithDictionary(base, next)
  const lossless = encodeParameterDelta(base, next, layout)
  exactly(await applyParameterDelta(base, bytesSource(lossless), layout), next)
  const quantization = quantizationOf('Int4', RANK)
  const { published, delta } = await quantizeForPublication({ base, next, layout, quantization, seed: 1 })
  exactly(await applyQuantizedDelta(base, bytesSource(delta), layout), published)
  const against = `against zstd -19 with the old version as dictionary, ${where}`
  const same = base.reduce((count, value, i) => count + (value === next[i] ? 1 : 0), 0) / base.length
  const raw = `float32 ${4 * layout.length}; ${(100 * same).toFixed(0)} % of the values did not change, which zstd finds too`
  return [
    row({
      name: `bytes of a download, lossless and bit-exact, ${against}`,
      value: zstd / lossless.length,
      goal: 1.5,
      note: `${lossless.length} bytes, zstd ${zstd}, ${raw}`,
    }),
    row({
      name: `bytes of a download, the Int4 change published, bit-exact on the node, ${against}`,
      value: zstd / delta.length,
      goal: 15,
      note: `${delta.length} bytes, zstd ${zstd}, ${raw}`,
    }),
  ]
}

/** What `zstd -19 --patch-from` does. */
function zstdWithDictionary(base: Float32Array, next: Float32Array): number {
  const params = {
    [constants.ZSTD_c_compressionLevel]: 19,
    [constants.ZSTD_c_windowLog]: 25,
    [constants.ZSTD_c_enableLongDistanceMatching]: 1,
  }
  return zstdCompressSync(bytesOf(next), { params, dictionary: bytesOf(base) }).length
}

async function accuracy(file: string, seeds: number): Promise<Row> {
  const federation = await load(file)
  const codec: UploadCodec = { type: 'Int8', rank: RANK }
  const lost: number[] = []
  for (let seed = 1; seed <= seeds; seed++) {
    const settings = { rounds: ACCURACY_ROUNDS, learningRate: 0.1, seed }
    const exact = (await train(federation, settings)).accuracy.at(-1) ?? NaN
    const rounded = (await train(federation, { ...settings, codec })).accuracy.at(-1) ?? NaN
    lost.push(100 * (exact - rounded))
    process.stdout.write(`seed ${seed}: float32 ${exact}, Int8 ${rounded}\n`)
  }
  await federation.trainer.close()
  return row({
    name: `accuracy that Int8 with error feedback loses against float32, same seed, 2NN, ${ACCURACY_ROUNDS} rounds, mean of ${seeds} seeds`,
    value: lost.reduce((sum, points) => sum + points, 0) / lost.length,
    unit: 'points',
    goal: 0,
    direction: 'atMost',
    note: `by seed: ${lost.map((points) => points.toFixed(1)).join(', ')}; one of 1,000 test digits is 0.1`,
  })
}

async function costs(update: Float32Array, layout: Layout): Promise<Record<string, string | number>[]> {
  const table: Record<string, string | number>[] = []
  const gigabytes = (4 * update.length) / 1e9
  for (const codec of CODECS) {
    let encoded = new Uint8Array(0)
    let values = update
    const encoding = await processorSeconds(
      () => void (encoded = new Uint8Array(encodeUpdate(update, layout, codec, 1))),
    )
    const decoding = await processorSeconds(async () => void (values = await decoded(encoded, layout, codec)))
    table.push({
      codec: JSON.stringify(codec),
      bytes: encoded.length,
      'bits a value': ((8 * encoded.length) / update.length).toFixed(2),
      'relative error': relativeError(values, update).toPrecision(3),
      'encoding, CPU-s a GB': (encoding / gigabytes).toFixed(1),
      'decoding, CPU-s a GB': (decoding / gigabytes).toFixed(1),
    })
  }
  return table
}

/** The best of some runs, as other work on the machine only ever adds. */
async function processorSeconds(work: () => void | Promise<void>): Promise<number> {
  let best = Infinity
  for (let repetition = 0; repetition < REPETITIONS; repetition++) {
    const before = process.cpuUsage()
    await work()
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, (user + system) / 1e6)
  }
  return best
}

async function decoded(
  bytes: Uint8Array,
  layout: Layout,
  codec: UploadCodec,
): Promise<Float32Array<ArrayBuffer>> {
  return decodeAll(await openUpdate(bytesSource(bytes), layout, codec))
}

function exactly(got: Float32Array, want: Float32Array): void {
  if (!Buffer.from(bytesOf(got)).equals(bytesOf(want)))
    throw new Error('the node has other bits than the hub')
}

function relativeError(got: Float32Array, want: Float32Array): number {
  let error = 0
  let norm = 0
  for (let i = 0; i < want.length; i++) {
    error += ((got[i] as number) - (want[i] as number)) ** 2
    norm += (want[i] as number) ** 2
  }
  return Math.sqrt(error / norm)
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}
