// Which version of the records a volume holds. A hub that read an older campaign with today's eyes would take whole
// parameters for differences to them, so it does not start on such a volume and says what to do.
import { join } from 'node:path'
import { z } from 'zod'
import { listDirectory, readRecord, writeRecord } from './files.ts'

/** Raised by a change after which an older record means something else. 2: updates are differences. */
export const VOLUME_FORMAT = 2

const FormatRecord = z.object({ format: z.number() })

/** Marks an empty volume with today's format. Rejects on a volume whose campaigns are of another one. */
export async function checkVolumeFormat(directory: string): Promise<void> {
  const path = join(directory, 'format.json')
  const found = (await readRecord(path, FormatRecord))?.format ?? 1
  if (found === VOLUME_FORMAT) return
  const campaigns = await listDirectory(join(directory, 'campaigns'))
  if (found > VOLUME_FORMAT || campaigns.length > 0) {
    throw new Error(
      `${directory} holds ${campaigns.length} campaigns in format ${found}, this hub reads format ${VOLUME_FORMAT}: ` +
        'run them to their end with the version that began them and delete their FederatedRounds, or remove the ' +
        'folder campaigns, which fails them with HubDataLost; models and their versions are kept either way',
    )
  }
  await writeRecord(path, { format: VOLUME_FORMAT })
}
