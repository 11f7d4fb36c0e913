// A hub in a process of its own, for measuring what it costs: `hub.ts <folder> <values> <key.pem> <certificate.pem>`.
// Says its port, then for each line of its standard input its processor seconds so far.
import { generateKeyPairSync } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Registry } from 'prom-client'
import { loadKernels } from '#federation/aggregation/native-kernels.ts'
import { runHub } from '#operator/hub/hub.ts'
import { tinyModel } from '#operator/hub/testing/fakes.ts'
import { MODEL_URI, testOptions } from '#operator/hub/testing/harness.ts'

const [directory = '', values = '0', keyPath = '', certificatePath = ''] = process.argv.slice(2)
const [key, certificate] = await Promise.all([readFile(keyPath, 'utf8'), readFile(certificatePath, 'utf8')])
const { kernels, native, description } = loadKernels()
if (!native) throw new Error(`the compiled kernels are what is measured: ${description}`)
const hub = await runHub({
  ...testOptions({
    directory,
    certificate: { key, certificate, authority: certificate },
    files: new Map([[MODEL_URI, tinyModel(new Float32Array(Number(values)))]]),
    registry: new Registry(),
  }),
  kernels,
  signingKey: generateKeyPairSync('ed25519').privateKey,
})
process.stdout.write(`${JSON.stringify({ port: hub.port })}\n`)
for await (const _line of createInterface(process.stdin)) {
  const { user, system } = process.cpuUsage()
  process.stdout.write(`${JSON.stringify({ seconds: (user + system) / 1e6 })}\n`)
}
