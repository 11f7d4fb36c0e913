// Starts a hub as a child process, kills it without warning, and starts it again on the same volume and port.
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MortalProcess } from '#federation/tier/testing/mortal-process.ts'
import type { TokenKeys } from '#federation/wire/generated/tributary.ts'
import { testCertificate, type TestCertificate } from '#federation/wire/testing/certificate.ts'
import type { Endpoint } from './clients.ts'
import type { HubProcessSettings } from './hub-process.ts'

export interface MortalHubOptions {
  /** Modules that the process loads before anything of the hub. */
  readonly preloads?: readonly URL[]
  /** Besides the tests' own tokens, those that are signed with one of these keys are good. */
  readonly tokenKeys?: TokenKeys
}

export class MortalHub extends MortalProcess {
  readonly directory: string
  readonly #certificate: TestCertificate
  readonly #settings: Omit<HubProcessSettings, 'port'>
  #port = 0

  private constructor(settings: Omit<HubProcessSettings, 'port'>, preloads: readonly URL[]) {
    super({ entry: new URL('./hub-process.ts', import.meta.url), preloads })
    this.directory = settings.directory
    this.#certificate = settings.certificate
    this.#settings = settings
  }

  static async create(model: Uint8Array, options: MortalHubOptions = {}): Promise<MortalHub> {
    const { preloads = [], tokenKeys } = options
    const root = await mkdtemp(join(tmpdir(), 'tributary-mortal-'))
    const modelFile = join(root, 'model')
    await writeFile(modelFile, model)
    const signingKey = generateKeyPairSync('ed25519')
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString()
    const certificate = await testCertificate()
    const directory = join(root, 'volume')
    const hub = new MortalHub({ directory, certificate, signingKey, modelFile, tokenKeys }, preloads)
    await hub.start()
    return hub
  }

  get endpoint(): Endpoint {
    return { port: this.#port, authority: this.#certificate.authority }
  }

  async start(): Promise<void> {
    const settings: HubProcessSettings = { ...this.#settings, port: this.#port }
    this.#port = await this.launch(settings, Number)
  }

  async remove(): Promise<void> {
    await this.kill()
    await rm(join(this.directory, '..'), { recursive: true, force: true })
  }
}
