// The hub's certificate and its authority, made once at install. The name in the certificate is fixed, so it stays
// right whatever address the hub is reached by.
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { HUB_SERVER_NAME } from '#federation/wire/names.ts'

export interface HubCertificates {
  /** PEM of the authority's certificate: what the edge trusts. */
  authority: string
  certificate: string
  key: string
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const TEN_YEARS_MS = 3650 * 24 * 3600 * 1000
/** Clocks of edge nodes may be behind. */
const BACKDATED_MS = 24 * 3600 * 1000

/** A new authority whose private key is forgotten at once, and the one certificate that it ever signs. */
export async function createHubCertificates(now: number): Promise<HubCertificates> {
  x509.cryptoProvider.set(webcrypto as never)
  const validity = { notBefore: new Date(now - BACKDATED_MS), notAfter: new Date(now + TEN_YEARS_MS) }
  const authorityKeys = await newKeys()
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    name: 'CN=tributary-hub-ca',
    keys: authorityKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  })
  const keys = await newKeys()
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity,
    subject: `CN=${HUB_SERVER_NAME}`,
    issuer: authority.subject,
    publicKey: keys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: HUB_SERVER_NAME }]),
    ],
  })
  const exported = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return {
    authority: `${authority.toString('pem')}\n`,
    certificate: `${certificate.toString('pem')}\n`,
    key: `${x509.PemConverter.encode(exported, 'PRIVATE KEY')}\n`,
  }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
}
