// Starts a hub as a child process, kills it without warning, and starts it again on the same volume and port.
import { spawn, type ChildProcess } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { testCertificate, type TestCertificate } from '#federation/wire/testing/certificate.ts'
import type { Endpoint } from './clients.ts'
import type { HubProcessSettings } from './hub-process.ts'

const ENTRY = fileURLToPath(new URL('./hub-process.ts', import.meta.url))

export class MortalHub {
  readonly directory: string
  readonly #certificate: TestCertificate
  readonly #settings: Omit<HubProcessSettings, 'port'>
  readonly #preloads: readonly URL[]
  #child: ChildProcess | undefined
  #port = 0

  private constructor(settings: Omit<HubProcessSettings, 'port'>, preloads: readonly URL[]) {
    this.directory = settings.directory
    this.#certificate = settings.certificate
    this.#settings = settings
    this.#preloads = preloads
  }

  /** @param preloads modules that the process loads before anything of the hub */
  static async create(model: Uint8Array, preloads: readonly URL[] = []): Promise<MortalHub> {
    const root = await mkdtemp(join(tmpdir(), 'tributary-mortal-'))
    const modelFile = join(root, 'model')
    await writeFile(modelFile, model)
    const signingKey = generateKeyPairSync('ed25519')
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString()
    const certificate = await testCertificate()
    const directory = join(root, 'volume')
    const hub = new MortalHub({ directory, certificate, signingKey, modelFile }, preloads)
    await hub.start()
    return hub
  }

  get endpoint(): Endpoint {
    return { port: this.#port, authority: this.#certificate.authority }
  }

  async start(): Promise<void> {
    const settings: HubProcessSettings = { ...this.#settings, port: this.#port }
    const preloads = this.#preloads.flatMap(({ href }) => ['--import', href])
    const child = spawn(process.execPath, [...preloads, ENTRY, JSON.stringify(settings)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#child = child
    const lines = createInterface(child.stdout)
    const [line] = (await Promise.race([
      once(lines, 'line'),
      once(child, 'exit').then(() => Promise.reject(new Error('the hub did not start'))),
    ])) as [string]
    this.#port = Number(line)
  }

  get isRunning(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null
  }

  /** Fulfilled once the process is gone, by itself or not. */
  async gone(): Promise<void> {
    if (this.#child && this.isRunning) await once(this.#child, 'exit')
  }

  /** Kills without waiting. */
  strike(): void {
    this.#child?.kill('SIGKILL')
  }

  async kill(): Promise<void> {
    this.strike()
    await this.gone()
  }

  async remove(): Promise<void> {
    await this.kill()
    await rm(join(this.directory, '..'), { recursive: true, force: true })
  }
}
