// The signed manifests of a model's versions. A manifest follows from the version's record and the model's name, so
// it can be signed anew when the signing key is another one than that of an earlier start: a changed key must not
// make every version so far untrusted.
import { createPublicKey, type KeyObject } from 'node:crypto'
import type { Logger } from 'pino'
import { EnvelopeError } from '#federation/artefact/dsse.ts'
import { signManifest, verifyManifest } from '#federation/artefact/manifest.ts'
import type { Model } from './model.ts'
import type { BlobReference, BlobStore } from '#federation/tier/store/blobs.ts'
import type { VersionRecord } from '#federation/tier/store/records.ts'

interface ManifestsContext {
  readonly blobs: BlobStore
  readonly signingKey: KeyObject
  readonly logger: Logger
}

/** Writes the signed manifest of a version. */
export async function putManifest(
  { blobs, signingKey }: Pick<ManifestsContext, 'blobs' | 'signingKey'>,
  { namespace, name }: { namespace: string; name: string },
  record: Omit<VersionRecord, 'manifest'>,
): Promise<BlobReference> {
  const { version, digest, size, parentDigest, createdMs, campaign, round } = record
  const { metrics, participants, samples } = record
  const envelope = signManifest(
    {
      namespace,
      name,
      version,
      model: { digest, size },
      ...(parentDigest !== '' && { parent: parentDigest }),
      created: new Date(createdMs).toISOString(),
      metrics,
      participants,
      samples,
      ...(campaign !== '' && { campaign, round }),
    },
    signingKey,
  )
  return blobs.put(envelope)
}

/** Signs again what the key did not sign. A crash in between is made up for at the next start. */
export async function signAnew(models: readonly Model[], context: ManifestsContext): Promise<void> {
  const key = createPublicKey(context.signingKey)
  for (const model of models) {
    for (const record of [...model.versions]) {
      if (await isSignedBy(key, record, context.blobs)) continue
      await context.blobs.hold(async () => {
        const manifest = await putManifest(context, model.plan, record)
        await model.replaceVersion({ ...record, manifest })
      })
      const { namespace, name } = model.plan
      context.logger.info(
        { namespace, name, version: record.version },
        'manifest signed with the present key',
      )
    }
  }
}

async function isSignedBy(key: KeyObject, { manifest }: VersionRecord, blobs: BlobStore): Promise<boolean> {
  if ((await blobs.size(manifest.digest)) === undefined) return false
  try {
    verifyManifest(await blobs.read(manifest.digest), [key])
    return true
  } catch (error) {
    if (error instanceof EnvelopeError) return false
    throw error
  }
}
