// Where the hub, or an edge controller in its place, is, how it shows that it is the one that was meant, and how to prove who
// is asking: the one value that every client of theirs is given. The token is read anew for each call, because the kubelet
// rotates the file.
import { X509Certificate } from 'node:crypto'
import { open } from 'node:fs/promises'
import { type PeerCertificate, checkServerIdentity } from 'node:tls'

import type { Parent } from './generated/tributary.ts'
import { CONTROLLER_SERVER_NAME, HUB_SERVER_NAME } from './names.ts'

const MAXIMUM_TOKEN_BYTES = 64 * 1024
const MAXIMUM_CERTIFICATE_LENGTH = 64 * 1024

export interface HubEndpoint {
  readonly host: string
  readonly port: number
  /** PEM of the authority that signed the server's certificate, or, when pinned, of that certificate; nothing else is trusted. */
  readonly authority: string
  /** Name in the server's certificate, asked for whatever address is dialled; the hub's unless given. */
  readonly serverName?: string
  /** True: the server's certificate must be `authority` itself, and none that it signed. */
  readonly pinned?: boolean
  readonly readToken: () => Promise<string>
}

/** An edge controller as it was introduced: exactly its certificate, for its address. */
export function controllerEndpoint(
  { tier, address, certificate }: Parent,
  readToken: HubEndpoint['readToken'],
): HubEndpoint {
  const place = parseHubAddress(address)
  if (certificate.length > MAXIMUM_CERTIFICATE_LENGTH || !isCertificate(certificate)) {
    const given = `${certificate.length} characters`
    throw new Error(
      `certificate of the edge controller of ${tier}: ${given}; expected one X.509 certificate in PEM`,
    )
  }
  return { ...place, authority: certificate, serverName: CONTROLLER_SERVER_NAME, pinned: true, readToken }
}

export interface ServerIdentity {
  readonly ca: string
  readonly servername: string
  readonly checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined
}

/** What a TLS client must be told to reach this server and no other. */
export function serverIdentity({ authority, serverName, pinned }: HubEndpoint): ServerIdentity {
  const servername = serverName ?? HUB_SERVER_NAME
  const only = pinned === true ? new X509Certificate(authority).raw : undefined
  return {
    ca: authority,
    servername,
    checkServerIdentity: (_host, certificate) => {
      if (only && !only.equals(certificate.raw))
        return new Error('the certificate is not the one that was introduced')
      return checkServerIdentity(servername, certificate)
    },
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
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
