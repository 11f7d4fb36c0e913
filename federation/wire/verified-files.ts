// Files whose bytes this process has seen to be right. As long as one looks untouched it need not be read again; a file that
// another process left, or that was changed since, is not among them.
import { stat } from 'node:fs/promises'

const MOST_KEPT = 64

export class VerifiedFiles {
  readonly #seen = new Map<string, string>()

  /** Call it once the file has its final name and content. */
  async add(path: string): Promise<void> {
    const marks = await marksOf(path)
    if (marks === undefined) return
    this.#seen.delete(path)
    this.#seen.set(path, marks)
    const [oldest] = this.#seen.keys()
    if (this.#seen.size > MOST_KEPT && oldest !== undefined) this.#seen.delete(oldest)
  }

  async has(path: string): Promise<boolean> {
    const seen = this.#seen.get(path)
    return seen !== undefined && (await marksOf(path)) === seen
  }
}

/** Changes with every write to the file and with every file of the same name. */
async function marksOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
  } catch {
    return undefined
  }
}
