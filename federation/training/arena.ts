/*
 * ONNX Runtime's arena on the CPU (BFCArena), as far as it decides how much memory a run touches: regions that double
 * in size, the smallest free chunk that is large enough, chunks used whole unless they are at least twice what is
 * wanted, and freed neighbours joined. Sizes of values alone say too little: what does not fit a gap makes the arena
 * grow, by up to twice the sum of the values that are alive.
 */
const ALIGNMENT = 256
const FIRST_REGION = 2 ** 20
/** A chunk with this much to spare is split in any case. */
const LARGEST_REST = 2 ** 27

interface Chunk {
  region: number
  offset: number
  size: number
  isFree: boolean
}

/** What `allocate` gave; to be given back once. */
export type Allocation = Chunk

export class Arena {
  private readonly regions: Chunk[][] = []
  /** Bytes from the start of each region that were ever in use. */
  private readonly touchedOf: number[] = []
  private nextRegion = FIRST_REGION

  /** Bytes that were in use at one time or another, in every region up to the last of them. */
  get touched(): number {
    return this.touchedOf.reduce((sum, bytes) => sum + bytes, 0)
  }

  allocate(bytes: number): Allocation {
    const size = Math.max(1, Math.ceil(bytes / ALIGNMENT)) * ALIGNMENT
    const chunk = this.smallestFree(size) ?? this.grown(size)
    chunk.isFree = false
    if (chunk.size >= 2 * size || chunk.size - size >= LARGEST_REST) this.split(chunk, size)
    const touched = this.touchedOf[chunk.region] ?? 0
    this.touchedOf[chunk.region] = Math.max(touched, chunk.offset + size)
    return chunk
  }

  free(chunk: Allocation): void {
    chunk.isFree = true
    const chunks = this.chunksOf(chunk)
    const at = chunks.indexOf(chunk)
    this.join(chunks, at)
    this.join(chunks, at - 1)
  }

  private smallestFree(size: number): Chunk | undefined {
    let found: Chunk | undefined
    for (const chunk of this.regions.flat()) {
      if (chunk.isFree && chunk.size >= size && chunk.size < (found?.size ?? Infinity)) found = chunk
    }
    return found
  }

  private grown(size: number): Chunk {
    let isLarger = false
    while (this.nextRegion < size) {
      this.nextRegion *= 2
      isLarger = true
    }
    const chunk = { region: this.regions.length, offset: 0, size: this.nextRegion, isFree: true }
    if (!isLarger) this.nextRegion *= 2
    this.regions.push([chunk])
    return chunk
  }

  private split(chunk: Chunk, size: number): void {
    const chunks = this.chunksOf(chunk)
    const rest = { ...chunk, offset: chunk.offset + size, size: chunk.size - size, isFree: true }
    chunk.size = size
    chunks.splice(chunks.indexOf(chunk) + 1, 0, rest)
  }

  /** Takes the chunk after this one into it, if both are free. */
  private join(chunks: Chunk[], at: number): void {
    const [chunk, next] = [chunks[at], chunks[at + 1]]
    if (!chunk?.isFree || !next?.isFree) return
    chunk.size += next.size
    chunks.splice(at + 1, 1)
  }

  private chunksOf({ region }: Chunk): Chunk[] {
    return this.regions[region] ?? []
  }
}
