// A hub on loopback with clients for each of its sides, for tests.
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { runHub } from '../hub.ts'
import type { HubOptions, RunningHub } from '../options.ts'
import { loadKernels } from '#federation/aggregation/native-kernels.ts'
import { testCertificate, type TestCertificate } from '#federation/wire/testing/certificate.ts'
import {
  AGENT,
  memorySource,
  OPERATOR,
  reviewTestToken,
  TEST_KEYS,
  tinyCompiler,
  tinyModel,
} from './fakes.ts'

export interface TestHub {
  readonly directory: string
  readonly authority: string
  readonly files: Map<string, Uint8Array>
  readonly verificationKey: KeyObject
  readonly registry: Registry
  hub: RunningHub
  restart(): Promise<void>
  close(): Promise<void>
}

export const MODEL_URI = 'configmap://model/model.onnx'

export async function startTestHub(changes: Partial<HubOptions> = {}): Promise<TestHub> {
  const directory = await mkdtemp(join(tmpdir(), 'tributary-hub-'))
  const certificate = await testCertificate()
  const files = new Map<string, Uint8Array>([[MODEL_URI, tinyModel(Float32Array.of(0, 0, 0, 0))]])
  const keys = generateKeyPairSync('ed25519')
  const start = async (registry: Registry): Promise<RunningHub> =>
    runHub({
      ...testOptions({ directory, certificate, files, registry }),
      signingKey: keys.privateKey,
      ...changes,
    })
  const registry = new Registry()
  const test: TestHub = {
    directory,
    authority: certificate.authority,
    files,
    verificationKey: keys.publicKey,
    registry,
    hub: await start(registry),
    restart: async () => {
      await test.hub.close()
      test.hub = await start(new Registry())
    },
    close: async () => {
      await test.hub.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
  return test
}

export function testOptions(given: {
  directory: string
  certificate: TestCertificate
  files: Map<string, Uint8Array>
  registry: Registry
}): Omit<HubOptions, 'signingKey'> {
  const { directory, certificate, files, registry } = given
  return {
    directory,
    tls: { key: certificate.key, certificate: certificate.certificate },
    reviewToken: reviewTestToken,
    operatorUsername: OPERATOR,
    agentUsername: AGENT,
    tokenKeys: async () => Promise.resolve(TEST_KEYS),
    modelSource: memorySource(files),
    compiler: tinyCompiler,
    kernels: loadKernels().kernels,
    clock: { now: () => Date.now() },
    logger: pino({ level: 'silent' }),
    registry,
    port: 0,
    healthPort: 0,
    fleetHoldMs: 0,
    host: '127.0.0.1',
  }
}
