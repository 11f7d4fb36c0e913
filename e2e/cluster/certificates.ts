// The certificates of a test cluster: one authority of its own, and leaf certificates for servers and users.
// In Kubernetes a client certificate's common name is the user and its organisations are the groups.
import 'reflect-metadata'
import { generateKeyPairSync, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

export interface PemPair {
  readonly certificate: string
  readonly key: string
}

export interface ServerNames {
  readonly dns: readonly string[]
  readonly addresses: readonly string[]
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export class CertificateAuthority {
  readonly certificate: string
  readonly keyPem: string
  readonly #keys: webcrypto.CryptoKeyPair

  private constructor(certificate: string, keyPem: string, keys: webcrypto.CryptoKeyPair) {
    this.certificate = certificate
    this.keyPem = keyPem
    this.#keys = keys
  }

  static async create(commonName: string): Promise<CertificateAuthority> {
    const keys = await newKeys()
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: [{ CN: [commonName] }],
      keys,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature,
          true,
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    })
    return new CertificateAuthority(certificate.toString('pem'), await privateKeyPem(keys.privateKey), keys)
  }

  async user(name: string, groups: readonly string[]): Promise<PemPair> {
    return this.#issue(name, groups, [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])])
  }

  async server(name: string, names: ServerNames): Promise<PemPair> {
    return this.#issue(
      name,
      [],
      [
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([
          ...names.dns.map((value) => ({ type: 'dns' as const, value })),
          ...names.addresses.map((value) => ({ type: 'ip' as const, value })),
        ]),
      ],
    )
  }

  async #issue(name: string, groups: readonly string[], extensions: x509.Extension[]): Promise<PemPair> {
    const keys = await newKeys()
    const certificate = await x509.X509CertificateGenerator.create({
      subject: [...groups.map((group) => ({ O: [group] })), { CN: [name] }],
      issuer: new x509.X509Certificate(this.certificate).subjectName.toJSON(),
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        await x509.AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
        ...extensions,
      ],
    })
    return { certificate: certificate.toString('pem'), key: await privateKeyPem(keys.privateKey) }
  }
}

/** The key that signs service-account tokens; Kubernetes takes the public half from the same file. */
export function serviceAccountKey(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .privateKey.export({ type: 'sec1', format: 'pem' })
    .toString()
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
}
