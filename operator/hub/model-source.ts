// Where a model's first version comes from. Every way of reading has a size limit and a time limit, and https sources
// are held to the digest in the manifest, so that what is admitted is what its author meant.
import { ModelRefused } from '#federation/tier/compiler.ts'

export interface SourceRequest {
  readonly storageUri: string
  /** Namespace of the EdgeModel; a ConfigMap is only read from there. */
  readonly namespace: string
  /** Expected digest, or empty. */
  readonly digest: string
  readonly signal: AbortSignal
}

export interface ModelSource {
  /** Rejects with ModelRefused when the request can never work, with SourceUnreachable when it may work later. */
  load(request: SourceRequest): Promise<Uint8Array>
}

export class SourceUnreachable extends Error {
  override name = 'SourceUnreachable'
  readonly reason: string

  constructor(reason: string, message: string) {
    super(message)
    this.reason = reason
  }
}

export interface ModelSourceOptions {
  /** Resolves to undefined when the ConfigMap or the key does not exist. */
  readonly readConfigMap: (namespace: string, name: string, key: string) => Promise<Uint8Array | undefined>
  readonly fetch: typeof globalThis.fetch
  /** Largest model, in bytes. */
  readonly maximumBytes?: number
  /** Longest download. */
  readonly timeoutMs?: number
}

const MAXIMUM_MODEL_BYTES = 512 * 1024 * 1024
const TIMEOUT_MS = 10 * 60_000

export function modelSource(options: ModelSourceOptions): ModelSource {
  return {
    load: async (request) => {
      const configMap = /^configmap:\/\/([^/]+)\/([^/]+)$/.exec(request.storageUri)
      if (configMap?.[1] && configMap[2]) return fromConfigMap(options, request, configMap[1], configMap[2])
      if (request.storageUri.startsWith('https://')) return fromHttps(options, request)
      throw new ModelRefused(
        'StorageUriUnsupported',
        `storageUri "${request.storageUri}" is neither configmap://<name>/<key> nor https://...`,
      )
    },
  }
}

async function fromConfigMap(
  options: ModelSourceOptions,
  { namespace }: SourceRequest,
  name: string,
  key: string,
): Promise<Uint8Array> {
  let bytes: Uint8Array | undefined
  try {
    bytes = await options.readConfigMap(namespace, name, key)
  } catch (error) {
    throw new SourceUnreachable('ConfigMapUnreadable', `ConfigMap ${namespace}/${name}: ${messageOf(error)}`)
  }
  if (bytes) return bytes
  throw new SourceUnreachable(
    'ConfigMapMissing',
    `there is no key ${key} in a ConfigMap ${namespace}/${name}`,
  )
}

async function fromHttps(options: ModelSourceOptions, request: SourceRequest): Promise<Uint8Array> {
  if (request.digest === '') {
    throw new ModelRefused('DigestMissing', `an https storageUri needs a digest: sha256:<64 hex> of the file`)
  }
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS)])
  try {
    // A redirect would let the server choose another host; the manifest names the address that is meant.
    const response = await options.fetch(request.storageUri, { redirect: 'error', signal })
    if (!response.ok) throw new Error(`the server answered ${response.status}`)
    return await readBounded(response, options.maximumBytes ?? MAXIMUM_MODEL_BYTES)
  } catch (error) {
    if (error instanceof ModelRefused) throw error
    throw new SourceUnreachable('DownloadFailed', `${request.storageUri}: ${messageOf(error)}`)
  }
}

async function readBounded(response: Response, maximumBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let size = 0
  const body: AsyncIterable<Uint8Array> | null = response.body
  for await (const piece of body ?? []) {
    size += piece.byteLength
    if (size > maximumBytes) {
      throw new ModelRefused('ModelTooLarge', `the model is larger than ${maximumBytes} bytes`)
    }
    pieces.push(piece)
  }
  return Buffer.concat(pieces, size)
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
