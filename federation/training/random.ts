/*
 * The trainer's own random numbers: xoshiro128** (Blackman and Vigna), its state filled by SplitMix32 from a
 * 53-bit seed and a stream number. The same seed and stream give the same numbers on every machine and in
 * every release, which is what makes a round of training repeatable. Not for secrets.
 */

export class Random {
  private readonly state: Uint32Array

  constructor(seed: number, stream = 0) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new RangeError(`seed is ${seed}, expected an integer from 0 to 2^53 - 1`)
    }
    this.state = Uint32Array.from(splitMix32([seed >>> 0, Math.floor(seed / 2 ** 32), stream >>> 0]))
  }

  /** An integer, uniform over [0, 2^32). */
  uint32(): number {
    const s = this.state
    const [a, b, c, d] = [s[0] ?? 0, s[1] ?? 0, s[2] ?? 0, s[3] ?? 0]
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0
    s[0] = a ^ d ^ b
    s[1] = b ^ c ^ a
    s[2] = c ^ a ^ (b << 9)
    s[3] = rotateLeft(d ^ b, 11)
    return result
  }

  /** An integer, uniform over [0, bound), without the bias of a remainder. */
  below(bound: number): number {
    const limit = 2 ** 32 - (2 ** 32 % bound)
    let value = this.uint32()
    while (value >= limit) value = this.uint32()
    return value % bound
  }

  /** Fills with numbers uniform over [0, 1), each a multiple of 2^-24 and so exact as float32. */
  fillUniform(target: Float32Array): void {
    for (let i = 0; i < target.length; i++) target[i] = (this.uint32() >>> 8) / 2 ** 24
  }

  /** Fills with standard normal numbers, two at a time (Box and Muller, 1958). */
  fillNormal(target: Float32Array): void {
    for (let i = 0; i < target.length; i += 2) {
      const radius = Math.sqrt(-2 * Math.log((this.uint32() + 1) / 2 ** 32))
      const angle = 2 * Math.PI * (this.uint32() / 2 ** 32)
      target[i] = radius * Math.cos(angle)
      if (i + 1 < target.length) target[i + 1] = radius * Math.sin(angle)
    }
  }

  /** Fisher-Yates. */
  shuffle(items: Uint32Array): void {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const kept = items[i] ?? 0
      items[i] = items[j] ?? 0
      items[j] = kept
    }
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

/** Four words from any number of words; each input word passes through the mixer in turn. */
function splitMix32(words: readonly number[]): number[] {
  let counter = 0
  const next = (): number => {
    counter = (counter + 0x9e3779b9) | 0
    let z = counter ^ (counter >>> 16)
    z = Math.imul(z, 0x21f0aaad)
    z ^= z >>> 15
    z = Math.imul(z, 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }
  for (const word of words) counter = (next() ^ word) | 0
  return [next(), next(), next(), next() | 1]
}
