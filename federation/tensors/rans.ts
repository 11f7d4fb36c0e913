// Entropy coding by asymmetric numeral systems (Duda 2013, "Asymmetric numeral systems"), the range variant with one 31-bit
// state and renormalisation by bytes. A token of probability p costs log2(1/p) bits to within 0.01. Decoding what was
// damaged gives wrong tokens but always ends and never reads beyond its bytes.
import { EncodingError } from './errors.ts'

const PROBABILITY_BITS = 12
const TOTAL = 1 << PROBABILITY_BITS
const MASK = TOTAL - 1
/** The state stays within [LOWEST, LOWEST · 256). */
const LOWEST = 1 << 23
const STATE_BYTES = 4

/** Frequencies of tokens that sum to 4096 (or all 0: no token can be coded), and where each begins. */
export class FrequencyTable {
  readonly frequencies: Uint16Array
  readonly starts: Uint16Array
  #tokens: Uint8Array | undefined

  /** @throws EncodingError when the frequencies do not sum to 4096 or 0 */
  constructor(frequencies: Uint16Array) {
    this.frequencies = frequencies
    this.starts = new Uint16Array(frequencies.length)
    let sum = 0
    for (const [token, frequency] of frequencies.entries()) {
      this.starts[token] = sum
      sum += frequency
    }
    if (sum !== TOTAL && sum !== 0) {
      throw new EncodingError(`the frequencies of a table sum to ${sum}; they must sum to ${TOTAL}`)
    }
  }

  /** The frequencies nearest to the counts, with at least 1 for every token that occurs. */
  static fromCounts(counts: Uint32Array): FrequencyTable {
    const sum = counts.reduce((total, count) => total + count, 0)
    const frequencies = new Uint16Array(counts.length)
    if (sum === 0) return new FrequencyTable(frequencies)
    for (const [token, count] of counts.entries()) {
      if (count > 0) frequencies[token] = Math.max(1, Math.round((count / sum) * TOTAL))
    }
    let excess = frequencies.reduce((total, frequency) => total + frequency, 0) - TOTAL
    while (excess !== 0) {
      const largest = frequencies.indexOf(Math.max(...frequencies))
      const change = excess > 0 ? Math.min(excess, (frequencies[largest] as number) >> 1) : excess
      frequencies[largest] = (frequencies[largest] as number) - change
      excess -= change
    }
    return new FrequencyTable(frequencies)
  }

  /** The token of each of the 4096 slots; made when first needed. */
  get tokens(): Uint8Array {
    if (this.#tokens) return this.#tokens
    const tokens = new Uint8Array(TOTAL)
    for (const [token, frequency] of this.frequencies.entries()) {
      const start = this.starts[token] as number
      tokens.fill(token, start, start + frequency)
    }
    return (this.#tokens = tokens)
  }

  get isEmpty(): boolean {
    return this.frequencies.every((frequency) => frequency === 0)
  }
}

/** Tokens must be put in the reverse of the order in which they will be taken. */
export class RansEncoder {
  readonly #bytes: Uint8Array
  #at: number
  #state = LOWEST

  /** @param capacity tokens that will be put at most */
  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity * 2 + STATE_BYTES)
    this.#at = this.#bytes.length
  }

  put(table: FrequencyTable, token: number): void {
    const frequency = table.frequencies[token] as number
    let state = this.#state
    const limit = (LOWEST >> PROBABILITY_BITS) * 256 * frequency
    while (state >= limit) {
      this.#bytes[--this.#at] = state
      state >>= 8
    }
    const quotient = (state / frequency) | 0
    this.#state =
      (quotient << PROBABILITY_BITS) + (state - quotient * frequency) + (table.starts[token] as number)
  }

  finish(): Uint8Array {
    for (let i = 0; i < STATE_BYTES; i++) {
      this.#bytes[--this.#at] = this.#state
      this.#state >>= 8
    }
    return this.#bytes.slice(this.#at)
  }
}

export class RansDecoder {
  readonly #bytes: Uint8Array
  #at = STATE_BYTES
  #state: number

  /** @throws EncodingError when there is no valid state at the beginning */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    const [a = 0, b = 0, c = 0, d = 0] = bytes
    this.#state = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
    if (bytes.length < STATE_BYTES || this.#state < LOWEST || this.#state >= LOWEST * 256) {
      throw new EncodingError('a block does not begin with the state of its tokens')
    }
  }

  /** The next token; missing bytes count as 0 and are found by `end`. */
  take(table: FrequencyTable): number {
    const slot = this.#state & MASK
    const token = table.tokens[slot] as number
    let state =
      (table.frequencies[token] as number) * (this.#state >> PROBABILITY_BITS) +
      slot -
      (table.starts[token] as number)
    while (state < LOWEST && this.#at <= this.#bytes.length) {
      state = (state << 8) | (this.#bytes[this.#at++] ?? 0)
    }
    this.#state = state
    return token
  }

  /** Checks that exactly the given bytes made the tokens. */
  end(): void {
    if (this.#at === this.#bytes.length && this.#state === LOWEST) return
    throw new EncodingError('the bytes of a block do not belong to its tokens')
  }
}
