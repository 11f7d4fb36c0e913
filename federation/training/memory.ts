/*
 * The large arrays of a training, kept for the next one: a client trains the same model round after round, and arrays that
 * are made anew each time cost more in page faults and garbage collection than a short training itself.
 */
export class TrainingMemory {
  private readonly arrays: Float32Array<ArrayBuffer>[] = []
  private taken = 0

  /** From here on all arrays may be taken again; what was taken before must not be used any more. */
  begin(): void {
    this.taken = 0
  }

  /** An array of this length, whatever is in it. */
  take(length: number): Float32Array<ArrayBuffer> {
    const index = this.taken++
    const kept = this.arrays[index]
    if (kept?.length === length) return kept
    const made = new Float32Array(length)
    this.arrays[index] = made
    return made
  }
}
