// What an edge controller shows to those below it: a key that never leaves the folder, and its certificate. Made once for the folder,
// so that after a restart, and for a later epoch on the same node, it is the one that was introduced.
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { z } from 'zod'

import { readRecord, writeRecord } from '#federation/tier/store/files.ts'
import { CONTROLLER_SERVER_NAME } from '#federation/wire/names.ts'
import { type SelfSigned, createSelfSigned } from '#federation/wire/self-signed.ts'

const CertificateRecord = z.object({ certificate: z.string(), key: z.string() })

export async function ownCertificate(folder: string, now: number): Promise<SelfSigned> {
  const own = join(folder, 'certificate')
  await mkdir(own, { recursive: true })
  // Before the key is in it: nobody else on the node may read it.
  await chmod(own, 0o700)
  const path = join(own, 'certificate.json')
  const known = await readRecord(path, CertificateRecord)
  if (known) return known
  const made = await createSelfSigned(CONTROLLER_SERVER_NAME, now)
  await writeRecord(path, made)
  return made
}
