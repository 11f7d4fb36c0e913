// Calls and bytes of an edge controller over real TLS: exactly the certificate that was introduced, and no other, whoever signed it.
import { afterEach, describe, expect, it } from 'vitest'

import { createHubClient } from './channel.ts'
import { controllerEndpoint } from './endpoint.ts'
import { type Assignment, ParticipationClient } from './generated/tributary.ts'
import { HubHttp } from './http.ts'
import { CONTROLLER_SERVER_NAME, blobPath } from './names.ts'
import { type TestCertificate, selfSignedCertificate, testCertificate } from './testing/certificate.ts'
import { TestHub } from './testing/test-hub.ts'

let controller: TestHub | undefined
afterEach(() => controller?.close())

/** What an edge controller that shows one certificate answers to a client that was told of another. */
async function reach(shown: TestCertificate, introduced: string): Promise<{ call: string; bytes: string }> {
  const participation = {
    participate: (call: { write: (assignment: Assignment) => unknown; end: () => unknown }) => {
      call.write({ kind: { $case: 'idle', value: { reason: 'WaitingForRound' } } })
      call.end()
    },
  }
  controller = await TestHub.start({ participation }, shown)
  const { digest } = controller.addBlob(Buffer.from('graph'))
  const parent = { ...controller.parent('north', 1), certificate: introduced }
  const endpoint = controllerEndpoint(parent, async () => 'a-token')
  const http = new HubHttp(endpoint)
  const client = createHubClient(ParticipationClient, endpoint)
  try {
    const signal = AbortSignal.timeout(10_000)
    const bytes = http.send({ method: 'GET', path: blobPath(digest), signal })
    const call = new Promise<string>((resolve) => {
      const stream = client.participate()
      stream.on('data', ({ kind }: Assignment) => resolve(kind?.$case ?? 'nothing'))
      stream.on('error', (error) => resolve(error.message))
    })
    const answer = bytes.then(
      (response) => String(response.resume().statusCode),
      (error: unknown) => String(error),
    )
    return { call: await call, bytes: await answer }
  } finally {
    client.close()
    http.destroy()
  }
}

const REFUSED = {
  call: expect.stringContaining('UNAVAILABLE') as string,
  bytes: expect.stringContaining('Error') as string,
}

describe('an edge controller', () => {
  it('is reached under the certificate that was introduced', async () => {
    const shown = await selfSignedCertificate()
    expect(await reach(shown, shown.certificate)).toEqual({ call: 'idle', bytes: '200' })
    expect(controller?.requests.map(({ token }) => token)).toEqual(['a-token'])
  })

  it.each([
    {
      name: 'another certificate for the same name',
      make: async () => ({
        shown: await selfSignedCertificate(),
        introduced: (await selfSignedCertificate()).certificate,
      }),
    },
    {
      name: 'a certificate that the introduced one has signed',
      make: async () => {
        const shown = await testCertificate(CONTROLLER_SERVER_NAME)
        return { shown, introduced: shown.authority }
      },
    },
    {
      name: 'the introduced certificate when it is for another name',
      make: async () => {
        const shown = await selfSignedCertificate('tributary-hub')
        return { shown, introduced: shown.certificate }
      },
    },
  ])('is told nothing, not even the token, when it shows $name', async ({ make }) => {
    const { shown, introduced } = await make()
    expect(await reach(shown, introduced)).toEqual(REFUSED)
    expect(controller?.requests).toEqual([])
  })
})

describe('controllerEndpoint', () => {
  const parent = { tier: 'north', epoch: 1, address: '192.0.2.7:7443', certificate: '' }

  it('refuses what is no certificate, and says so', () => {
    expect(() => controllerEndpoint({ ...parent, certificate: 'none' }, async () => '')).toThrow(
      'certificate of the edge controller of north: 4 characters; expected one X.509 certificate in PEM',
    )
  })

  it('refuses what is no address, and says so', async () => {
    const { certificate } = await selfSignedCertificate()
    expect(() => controllerEndpoint({ ...parent, address: 'north', certificate }, async () => '')).toThrow(
      /"north": expected host:port/,
    )
  })
})
