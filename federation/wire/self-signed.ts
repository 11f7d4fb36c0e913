// A key and a certificate that a server makes for itself: nobody vouches for it, so whoever should trust it is told exactly this
// certificate by somebody whom they trust already.
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'

import * as x509 from '@peculiar/x509'

export interface SelfSigned {
  /** PEM. */
  readonly certificate: string
  /** PEM (PKCS 8). */
  readonly key: string
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const TEN_YEARS_MS = 3650 * 24 * 3600 * 1000
/** Clocks of edge nodes may be behind. */
const BACKDATED_MS = 24 * 3600 * 1000

export async function createSelfSigned(serverName: string, now: number): Promise<SelfSigned> {
  x509.cryptoProvider.set(webcrypto as never)
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    notBefore: new Date(now - BACKDATED_MS),
    notAfter: new Date(now + TEN_YEARS_MS),
    name: `CN=${serverName}`,
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: serverName }]),
    ],
  })
  const exported = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: `${x509.PemConverter.encode(exported, 'PRIVATE KEY')}\n`,
  }
}
