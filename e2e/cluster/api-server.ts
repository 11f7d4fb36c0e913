// A real Kubernetes API server with its etcd and nothing else, on loopback: up in seconds, for reconciler tests.
// No controllers run: nothing collects garbage, finishes the deletion of a namespace, fills the aggregated roles
// (view, edit, admin) or schedules a pod, and the ServiceAccount admission that would wait for a controller's
// account is off. Everything ends with this process.
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import path from 'node:path'
import type { CertificateAuthority, PemPair } from './certificates.ts'
import { apiServerCommand, etcdCommand, writeCredentials } from './control-plane.ts'
import { freePorts } from './free-ports.ts'
import { kubeconfig } from './kubeconfig.ts'
import { stateFolder } from './paths.ts'
import { Program } from './program.ts'

/** One of the two programs, for tests of what happens when it dies. */
export interface ServerProcess {
  readonly running: () => boolean
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>
  /** Starts it again on the same port with the same data, and waits until the API server answers. */
  restart(): Promise<void>
}

export interface ApiServer {
  /** Path of the administrator's kubeconfig (group system:masters). */
  readonly kubeconfig: string
  readonly url: string
  readonly host: string
  readonly port: number
  /** PEM of the certificate authority. */
  readonly ca: string
  /** The administrator's client certificate and key, PEM. */
  readonly admin: PemPair
  /** One JSON object a line, written for every request at level Metadata. */
  readonly auditLog: string
  readonly folder: string
  readonly apiServer: ServerProcess
  readonly etcd: ServerProcess
  /** Path of a kubeconfig for another user, who may do what RBAC grants and nothing else. */
  kubeconfigFor(user: string, groups?: readonly string[]): Promise<string>
  stop(): Promise<void>
}

export interface ApiServerOptions {
  /** Further kube-apiserver flags. */
  readonly extra?: readonly string[]
}

const attempts = 3

export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(options)
    } catch (error) {
      // The likeliest reason is that another process took a port between asking for it and using it.
      if (attempt === attempts) throw error
    }
  }
}

async function start(options: ApiServerOptions): Promise<ApiServer> {
  const parent = path.join(stateFolder, 'api-servers')
  await mkdir(parent, { recursive: true })
  await removeAbandoned(parent)
  const folder = await mkdtemp(path.join(parent, `${String(process.pid)}-`))
  const credentials = await writeCredentials(path.join(folder, 'credentials'), ['127.0.0.1'])
  const [port = 0, etcdPort = 0, peerPort = 0] = await freePorts(3)
  const programs = thePrograms(folder, { port, etcdPort, peerPort }, options.extra ?? [])
  const { certificate } = credentials.authority
  const ready = (): Promise<void> =>
    programs.apiServer.waitUntil(() => isReady(port, certificate, credentials.admin))
  const stop = async (): Promise<void> => {
    await programs.apiServer.kill()
    await programs.etcd.kill()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    programs.etcd.start()
    programs.apiServer.start()
    await ready()
  } catch (error) {
    await stop()
    throw error
  }
  const url = `https://127.0.0.1:${String(port)}`
  const kubeconfigs = new Kubeconfigs(folder, url, credentials.authority)
  return {
    kubeconfig: await kubeconfigs.write('admin', credentials.admin),
    url,
    host: '127.0.0.1',
    port,
    ca: certificate,
    admin: credentials.admin,
    auditLog: path.join(folder, 'audit.log'),
    folder,
    apiServer: restartable(programs.apiServer, ready),
    etcd: restartable(programs.etcd, ready),
    kubeconfigFor: async (user, groups = []) =>
      kubeconfigs.write(user, await credentials.authority.user(user, groups)),
    stop,
  }
}

interface Ports {
  readonly port: number
  readonly etcdPort: number
  readonly peerPort: number
}

function thePrograms(
  folder: string,
  ports: Ports,
  extra: readonly string[],
): { readonly etcd: Program; readonly apiServer: Program } {
  const etcdUrl = `http://127.0.0.1:${String(ports.etcdPort)}`
  const etcd = etcdCommand({
    dataFolder: path.join(folder, 'etcd'),
    clientUrl: etcdUrl,
    peerUrl: `http://127.0.0.1:${String(ports.peerPort)}`,
  })
  const apiServer = apiServerCommand({
    address: '127.0.0.1',
    port: ports.port,
    etcdUrl,
    serviceRange: '10.0.0.0/24',
    credentialsFolder: path.join(folder, 'credentials'),
    auditLog: path.join(folder, 'audit.log'),
    extra: ['--authorization-mode=RBAC', '--disable-admission-plugins=ServiceAccount', ...extra],
  })
  return {
    etcd: new Program(etcd, path.join(folder, 'etcd.log')),
    apiServer: new Program(apiServer, path.join(folder, 'kube-apiserver.log')),
  }
}

/** Removes the folders of servers whose owner was killed before it could. */
async function removeAbandoned(parent: string): Promise<void> {
  for (const folder of await readdir(parent)) {
    const owner = Number.parseInt(folder, 10)
    const alive = await stat(`/proc/${String(owner)}`).catch(() => undefined)
    if (alive === undefined) await rm(path.join(parent, folder), { recursive: true, force: true })
  }
}

class Kubeconfigs {
  readonly #folder: string
  readonly #server: string
  readonly #authority: CertificateAuthority
  #written = 0

  constructor(folder: string, server: string, authority: CertificateAuthority) {
    this.#folder = folder
    this.#server = server
    this.#authority = authority
  }

  async write(user: string, credentials: PemPair): Promise<string> {
    this.#written += 1
    const file = path.join(this.#folder, `kubeconfig-${String(this.#written)}`)
    const content = kubeconfig({
      cluster: 'api-server',
      server: this.#server,
      certificateAuthority: this.#authority.certificate,
      user,
      credentials,
    })
    await writeFile(file, content, { mode: 0o600 })
    return file
  }
}

function restartable(program: Program, ready: () => Promise<void>): ServerProcess {
  return {
    running: () => program.running,
    kill: () => program.kill(),
    restart: async () => {
      await program.kill()
      program.start()
      await ready()
    },
  }
}

async function isReady(port: number, ca: string, admin: PemPair): Promise<boolean> {
  return new Promise((resolve) => {
    const get = request(
      {
        host: '127.0.0.1',
        port,
        path: '/readyz',
        ca,
        cert: admin.certificate,
        key: admin.key,
        timeout: 2000,
        agent: false,
      },
      (response) => {
        response.resume()
        resolve(response.statusCode === 200)
      },
    )
    get.on('timeout', () => get.destroy())
    get.on('error', () => {
      resolve(false)
    })
    get.end()
  })
}
