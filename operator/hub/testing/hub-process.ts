// A hub as a process of its own, for tests that kill it: settings as JSON in the only argument, ports on stdout.
import { createPrivateKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Registry } from 'prom-client'
import { reviewByKeys } from '#federation/tier/serving/token-keys.ts'
import type { TokenKeys } from '#federation/wire/generated/tributary.ts'
import type { TestCertificate } from '#federation/wire/testing/certificate.ts'
import { runHub } from '../hub.ts'
import { reviewTestToken, TEST_KEYS } from './fakes.ts'
import { MODEL_URI, testOptions } from './harness.ts'

export interface HubProcessSettings {
  readonly directory: string
  readonly port: number
  readonly certificate: TestCertificate
  readonly signingKey: string
  readonly modelFile: string
  readonly tokenKeys: TokenKeys | undefined
}

const settings = JSON.parse(process.argv[2] ?? '') as HubProcessSettings
const { directory, certificate, port, tokenKeys } = settings
const clock = { now: () => Date.now() }
const signed = tokenKeys && reviewByKeys(() => tokenKeys, clock)
const files = new Map<string, Uint8Array>([[MODEL_URI, await readFile(settings.modelFile)]])
const hub = await runHub({
  ...testOptions({ directory, certificate, files, registry: new Registry() }),
  signingKey: createPrivateKey(settings.signingKey),
  reviewToken: async (token) => (await reviewTestToken(token)) ?? (await signed?.(token)),
  tokenKeys: async () => Promise.resolve(tokenKeys ?? TEST_KEYS),
  port,
})
process.stdout.write(`${hub.port}\n`)
