// Certificates for tests that speak TLS with themselves: one for the hub's name with the authority that signed it, and one that an
// edge controller makes for itself.
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'

import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

import { CONTROLLER_SERVER_NAME, HUB_SERVER_NAME } from '../names.ts'

export interface TestCertificate {
  readonly authority: string
  readonly certificate: string
  readonly key: string
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const VALIDITY = {
  notBefore: new Date('2020-01-01'),
  notAfter: new Date('2100-01-01'),
  signingAlgorithm: ALGORITHM,
}

export async function testCertificate(serverName: string = HUB_SERVER_NAME): Promise<TestCertificate> {
  const authorityKeys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const serverKeys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const authority = await X509CertificateGenerator.createSelfSigned({
    ...VALIDITY,
    name: 'CN=authority of a test',
    keys: authorityKeys,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  })
  const certificate = await X509CertificateGenerator.create({
    ...VALIDITY,
    subject: `CN=${serverName}`,
    issuer: authority.subject,
    signingKey: authorityKeys.privateKey,
    publicKey: serverKeys.publicKey,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: serverName }])],
  })
  return {
    authority: authority.toString('pem'),
    certificate: certificate.toString('pem'),
    key: await pemOf(serverKeys.privateKey),
  }
}

/** Its own authority. */
export async function selfSignedCertificate(
  serverName: string = CONTROLLER_SERVER_NAME,
): Promise<TestCertificate> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...VALIDITY,
    name: `CN=${serverName}`,
    keys,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: serverName }])],
  })
  const pem = certificate.toString('pem')
  return { authority: pem, certificate: pem, key: await pemOf(keys.privateKey) }
}

async function pemOf(privateKey: webcrypto.CryptoKey): Promise<string> {
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey))
  const lines = key.toString('base64').replace(/(.{64})/g, '$1\n')
  return `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`
}
