// Where the hub is and how to prove who is asking: the one value that every client of the hub is given.
// The token is read anew for each call, because the kubelet rotates the file.
import { open } from 'node:fs/promises'

const MAXIMUM_TOKEN_BYTES = 64 * 1024

export interface HubEndpoint {
  readonly host: string
  readonly port: number
  /** PEM of the authority that signed the hub's certificate; no other authority is trusted. */
  readonly authority: string
  readonly readToken: () => Promise<string>
}

/** Reads `host:port`; an IPv6 address stands in brackets. */
export function parseHubAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(address)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port < 1 || port > 65_535) {
    throw new Error(
      `hub address ${JSON.stringify(address)}: expected host:port, such as 192.0.2.10:30843 or [2001:db8::1]:30843`,
    )
  }
  return { host, port }
}

/** `host:port`, with brackets around an IPv6 address. */
export function formatHubAddress({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** A reader of the projected service-account token at this path. */
export function tokenFromFile(path: string): () => Promise<string> {
  return async () => {
    const token = (await readStart(path, MAXIMUM_TOKEN_BYTES)).toString('utf8').trim()
    if (!/^[\x21-\x7e]+$/.test(token)) {
      throw new Error(`token file ${path}: expected one bearer token of printable characters`)
    }
    return token
  }
}

async function readStart(path: string, maximum: number): Promise<Buffer> {
  await using file = await open(path)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(maximum + 1), 0, maximum + 1, 0)
  if (bytesRead > maximum) throw new Error(`token file ${path}: more than ${maximum} bytes`)
  return buffer.subarray(0, bytesRead)
}
