/*
 * A hub with the real compiler as a process of its own, on loopback: settings as JSON in the only argument, its port on
 * stdout. Tokens say who they are (operator/hub/testing); everything else is what a cluster runs.
 */
import { createPrivateKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'

import { Registry } from 'prom-client'

import type { TestCertificate } from '#federation/wire/testing/certificate.ts'
import { startModelCompiler } from '#operator/hub/compiler-worker.ts'
import { runHub } from '#operator/hub/hub.ts'
import { MODEL_URI, testOptions } from '#operator/hub/testing/harness.ts'

export interface HubSettings {
  readonly directory: string
  readonly certificate: TestCertificate
  /** Ed25519, PKCS #8 in PEM. */
  readonly signingKey: string
  readonly modelFile: string
}

if (import.meta.main) {
  const { directory, certificate, signingKey, modelFile } = JSON.parse(process.argv[2] ?? '') as HubSettings
  const files = new Map<string, Uint8Array>([[MODEL_URI, await readFile(modelFile)]])
  const hub = await runHub({
    ...testOptions({ directory, certificate, files, registry: new Registry() }),
    compiler: startModelCompiler(),
    signingKey: createPrivateKey(signingKey),
    port: 0,
  })
  process.stdout.write(`listening on ${hub.port}\n`)
}
