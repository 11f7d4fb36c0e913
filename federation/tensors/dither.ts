// Subtractive dither (Roberts 1962; Schuchman 1964; for federated learning: Shlezinger et al. 2020, "UVeQFed"): sender and receiver
// know the same random offsets u, uniform over [-1/2, 1/2). A value v in steps becomes the integer round(v + u), which the receiver
// reads as the integer - u. The error is then uniform over [-1/2, 1/2] steps and independent of v: unbiased, as
// stochastic rounding is, with at most half of its variance.

/** The offset of element `index`: a hash (the finaliser of SplitMix32) of position and seed, so slices can begin anywhere. */
export function ditherAt(seed: number, index: number): number {
  let z = (seed + Math.imul(index, 0x9e3779b9)) | 0
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
  return (z ^ (z >>> 15)) / 2 ** 32
}
