// Kubernetes quantities ("500m", "1Gi", "2e3") as numbers.

const SUFFIXES: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** Undefined for what is not a quantity. */
export function parseQuantity(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (typeof value !== 'string') return undefined
  const match = /^([+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30}))(e[+-]?\d{1,3}|[numkMGTPE]|[KMGTPE]i)?$/i.exec(
    value,
  )
  if (!match) return undefined
  const [, digits = '', suffix = ''] = match
  if (/^e[+-]?\d/i.test(suffix)) return Number(digits + suffix)
  const factor = SUFFIXES[suffix]
  return factor === undefined ? undefined : Number(digits) * factor
}
