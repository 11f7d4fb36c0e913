// A kubeconfig for one user of one cluster, self-contained so that it can be copied anywhere.
import { stringify } from 'yaml'
import type { PemPair } from './certificates.ts'

export interface Access {
  readonly cluster: string
  readonly server: string
  readonly certificateAuthority: string
  readonly user: string
  readonly credentials: PemPair
}

export function kubeconfig(access: Access): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: access.cluster,
        cluster: { server: access.server, 'certificate-authority-data': base64(access.certificateAuthority) },
      },
    ],
    users: [
      {
        name: access.user,
        user: {
          'client-certificate-data': base64(access.credentials.certificate),
          'client-key-data': base64(access.credentials.key),
        },
      },
    ],
    contexts: [{ name: access.cluster, context: { cluster: access.cluster, user: access.user } }],
    'current-context': access.cluster,
  })
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
