// Files that survive a crash: whole under their name, or not there at all.
import { open, rename } from 'node:fs/promises'

/** Makes a rename or an unlink in this folder survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r')
  await handle.sync()
}

/** Replaces a file in one step: readers, and whoever starts after a crash, see the old bytes or the new ones. */
export async function writeDurably(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${folder}/.${name}.writing`
  await using file = await open(temporary, 'w')
  await file.writeFile(bytes)
  await file.sync()
  await rename(temporary, `${folder}/${name}`)
  await syncFolder(folder)
}
