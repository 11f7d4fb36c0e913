// Comparing what we want with what the API server holds. Pure.

import { parseQuantity } from './quantity.ts'

/** JSON with sorted keys and without undefined: the same value gives the same text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (isRecord(part) ? sorted(part) : part))
}

function sorted(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Equal as JSON: key order and undefined do not count. */
export function equalValues(a: unknown, b: unknown): boolean {
  return canonicalJson(a) === canonicalJson(b)
}

/**
 * The path of the first field that is wanted and is not so, or undefined. What the server or others added is no
 * difference: further fields, further items in lists that are keyed by name. Quantities compare by value.
 */
export function firstDifference(wanted: unknown, observed: unknown, path = ''): string | undefined {
  if (wanted === undefined) return undefined
  if (Array.isArray(wanted)) return listDifference(wanted, observed, path)
  if (isRecord(wanted)) return recordDifference(wanted, observed, path)
  return isSameScalar(wanted, observed) ? undefined : path
}

function recordDifference(
  wanted: Record<string, unknown>,
  observed: unknown,
  path: string,
): string | undefined {
  // The server leaves out what is empty.
  if (observed === undefined && Object.keys(wanted).length === 0) return undefined
  if (!isRecord(observed)) return path
  for (const [field, value] of Object.entries(wanted)) {
    const difference = firstDifference(value, observed[field], path === '' ? field : `${path}.${field}`)
    if (difference !== undefined) return difference
  }
  return undefined
}

function listDifference(wanted: unknown[], observed: unknown, path: string): string | undefined {
  if (observed === undefined && wanted.length === 0) return undefined
  if (!Array.isArray(observed)) return path
  const key = listKey(wanted)
  if (!key && observed.length !== wanted.length) return path
  for (const [index, item] of wanted.entries()) {
    const counterpart: unknown = key ? findByKey(observed, key, item) : observed[index]
    const difference = firstDifference(item, counterpart, `${path}[${String(index)}]`)
    if (difference !== undefined) return difference
  }
  return undefined
}

const LIST_KEYS = ['name', 'type', 'uid', 'mountPath', 'containerPort'] as const

/** Kubernetes merges lists of named things by that name; all others are taken as a whole. */
function listKey(items: unknown[]): string | undefined {
  return LIST_KEYS.find((key) => items.length > 0 && items.every((item) => isRecord(item) && key in item))
}

function findByKey(items: unknown[], key: string, wanted: unknown): unknown {
  const name = isRecord(wanted) ? wanted[key] : undefined
  return items.find((item) => isRecord(item) && item[key] === name)
}

function isSameScalar(wanted: unknown, observed: unknown): boolean {
  if (wanted === observed) return true
  // The zero value of a field is often left out.
  if (observed === undefined) return wanted === '' || wanted === false || wanted === null || wanted === 0
  const a = parseQuantity(wanted)
  return a !== undefined && a === parseQuantity(observed)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
