// What an OCI archive holds, read from its index alone.
import path from 'node:path'
import { z } from 'zod'
import { run } from './run.ts'

export interface ArchivedImage {
  /** Absolute. */
  readonly archive: string
  readonly reference: string
  /** Of the image's manifest, as container runtimes list it. */
  readonly digest: string
}

const referenceKey = 'org.opencontainers.image.ref.name'
const index = z.object({
  manifests: z.tuple([
    z.object({ digest: z.string(), annotations: z.object({ [referenceKey]: z.string() }) }),
  ]),
})

export async function archivedImage(archive: string): Promise<ArchivedImage> {
  const text = await run('tar', ['--extract', '--to-stdout', `--file=${archive}`, 'index.json'])
  const parsed = index.safeParse(JSON.parse(text))
  if (!parsed.success)
    throw new Error(`${archive}: an OCI archive of one named image is right; ${parsed.error.message}`)
  const [manifest] = parsed.data.manifests
  return {
    archive: path.resolve(archive),
    reference: manifest.annotations[referenceKey],
    digest: manifest.digest,
  }
}
