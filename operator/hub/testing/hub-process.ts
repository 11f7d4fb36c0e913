// A hub as a process of its own, for tests that kill it: settings as JSON in the only argument, ports on stdout.
import { createPrivateKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Registry } from 'prom-client'
import { runHub } from '../hub.ts'
import { MODEL_URI, testOptions } from './harness.ts'
import type { TestCertificate } from '#federation/wire/testing/certificate.ts'

export interface HubProcessSettings {
  readonly directory: string
  readonly port: number
  readonly certificate: TestCertificate
  readonly signingKey: string
  readonly modelFile: string
}

const settings = JSON.parse(process.argv[2] ?? '') as HubProcessSettings
const { directory, certificate, port } = settings
const files = new Map<string, Uint8Array>([[MODEL_URI, await readFile(settings.modelFile)]])
const hub = await runHub({
  ...testOptions({ directory, certificate, files, registry: new Registry() }),
  signingKey: createPrivateKey(settings.signingKey),
  port,
})
process.stdout.write(`${hub.port}\n`)
