// How the merging engine gets at values: readers with random access by slices, opened when needed, few at a time.

/** Float32 values with random access. One read at a time. */
export interface UpdateReader {
  /** Number of values. */
  readonly length: number
  /** Fills `into` with the values from `start` on. */
  read(start: number, into: Float32Array): Promise<void>
  close(): Promise<void>
  /** Where the values lie as they are, little-endian, when they do: kernels may read them there themselves. */
  readonly file?: ValuesInFile
  /** The values themselves, when all of them are in memory: kernels may take them from there, and nobody writes to them. */
  readonly values?: Float32Array
}

export interface ValuesInFile {
  /** File descriptor, valid until the reader is closed. */
  readonly descriptor: number
  /** Byte of the first value. */
  readonly offset: number
}

export type OpenReader = () => Promise<UpdateReader>

/** A vector of zeros that takes no memory. */
export function zeros(length: number): OpenReader {
  const read = async (_start: number, into: Float32Array): Promise<void> => {
    into.fill(0)
    await Promise.resolve()
  }
  return async () => Promise.resolve({ length, read, close: async () => Promise.resolve() })
}

/** A vector that is in memory. */
export function inMemory(values: Float32Array): OpenReader {
  const read = async (start: number, into: Float32Array): Promise<void> => {
    into.set(values.subarray(start, start + into.length))
    await Promise.resolve()
  }
  const close = async (): Promise<void> => Promise.resolve()
  return async () => Promise.resolve({ length: values.length, read, close, values })
}

/** A vector to read: its name in errors, and the number of values that it must have. */
export interface Source {
  readonly name: string
  readonly length: number
  readonly open: OpenReader
}

/** Where kernels find the values of several sources. `Readers`: they do not; each source must be read. */
export type Places =
  | { readonly in: 'Memory'; readonly values: readonly Float32Array[] }
  | { readonly in: 'Files'; readonly descriptors: Int32Array; readonly offset: number }
  | { readonly in: 'Readers' }

/** Beyond this many sources, each is opened anew for each slice. */
const MOST_KEPT_OPEN = 256

/** Reads slices of many sources with a bounded number of open readers. */
export class Sources {
  readonly #sources: readonly Source[]
  readonly #open = new Map<number, UpdateReader>()

  constructor(sources: readonly Source[]) {
    this.#sources = sources
  }

  /** Fills `into` from source `index`. Rejects when the source has not the expected length. */
  async read(index: number, start: number, into: Float32Array): Promise<void> {
    const reader = await this.#reader(index)
    try {
      await reader.read(start, into)
    } finally {
      if (!this.#keeps()) await reader.close()
    }
  }

  /** Where the values of these sources lie, when it is the same kind of place for all and they may stay open. */
  async places(indices: readonly number[]): Promise<Places> {
    if (!this.#keeps()) return { in: 'Readers' }
    const readers: UpdateReader[] = []
    for (const index of indices) readers.push(await this.#reader(index))
    const values = readers.map((reader) => reader.values).filter((one) => one !== undefined)
    if (values.length === readers.length) return { in: 'Memory', values }
    const files = readers.map((reader) => reader.file).filter((one) => one !== undefined)
    const offset = files[0]?.offset
    if (files.length < readers.length || offset === undefined) return { in: 'Readers' }
    if (files.some((file) => file.offset !== offset)) return { in: 'Readers' }
    return { in: 'Files', descriptors: Int32Array.from(files, (file) => file.descriptor), offset }
  }

  async #reader(index: number): Promise<UpdateReader> {
    const kept = this.#open.get(index)
    if (kept) return kept
    const source = this.#sources[index]
    if (!source) throw new RangeError(`source ${index} is not one of ${this.#sources.length}`)
    const reader = await opened(source)
    if (this.#keeps()) this.#open.set(index, reader)
    return reader
  }

  #keeps(): boolean {
    return this.#sources.length <= MOST_KEPT_OPEN
  }

  async close(): Promise<void> {
    const readers = [...this.#open.values()]
    this.#open.clear()
    await Promise.all(readers.map(async (reader) => reader.close()))
  }
}

async function opened({ name, length, open }: Source): Promise<UpdateReader> {
  const reader = await open()
  if (reader.length === length) return reader
  await reader.close()
  throw new Error(`${name} has ${reader.length} values; expected are ${length}`)
}
