// What the API server refuses in a schema, and what people miss in one, found without a cluster. Whether the CEL
// rules compile and fit the cost budget only a real API server can say: definition.cluster.test.ts.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { customResourceDefinition, KINDS, openApiSchema } from './definition.ts'
import { customResourceDefinitionFile, customResourceDefinitionYaml } from './generate.ts'
import { walk, type SchemaNode } from './testing/walk.ts'

const REFUSED_KEYWORDS = [
  '$ref',
  '$defs',
  'definitions',
  'allOf',
  'anyOf',
  'oneOf',
  'not',
  'const',
  'tuple',
  'prefixItems',
  'patternProperties',
  'propertyNames',
  'dependencies',
  'id',
  '$schema',
  'uniqueItems',
]

const isObject = (value: unknown): value is SchemaNode =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Everything that can be wrong with one node, by its name. */
const COMPLAINTS: Record<string, (node: SchemaNode) => boolean> = {
  'additionalProperties beside properties': (node) =>
    isObject(node['properties']) && 'additionalProperties' in node,
  'exclusiveMinimum is a number': (node) => typeof node['exclusiveMinimum'] === 'number',
  'exclusiveMaximum is a number': (node) => typeof node['exclusiveMaximum'] === 'number',
  // For a whole number in the manifest the API server rounds such a bound: 0 passes a minimum of 0.01.
  'a bound is a fraction': (node) =>
    ['minimum', 'maximum'].some((bound) => bound in node && !Number.isInteger(node[bound])),
  'no type': (node) => node['type'] === undefined && node['x-kubernetes-int-or-string'] !== true,
  'not one type': (node) => Array.isArray(node['type']) || node['type'] === 'null',
  'no items': (node) => node['type'] === 'array' && !isObject(node['items']),
}

const complaints = (node: SchemaNode): string[] => [
  ...REFUSED_KEYWORDS.filter((keyword) => keyword in node),
  ...Object.keys(COMPLAINTS).filter((name) => COMPLAINTS[name]?.(node)),
]

const unbounded = (node: SchemaNode): string[] => {
  if (node['type'] === 'array') return 'maxItems' in node ? [] : ['maxItems']
  if (isObject(node['additionalProperties'])) return 'maxProperties' in node ? [] : ['maxProperties']
  if (node['type'] !== 'string') return []
  return ['maxLength', 'enum', 'format'].some((keyword) => keyword in node) ? [] : ['maxLength']
}

const findings = (root: SchemaNode, check: (node: SchemaNode) => string[]): string[] =>
  [...walk(root)].flatMap(({ path, node }) => check(node).map((problem) => `${path}: ${problem}`))

describe.each(KINDS.map((kind) => ({ name: kind.kind, kind })))('$name', ({ kind }) => {
  const roots: [string, SchemaNode][] = [
    ['spec', openApiSchema(kind.spec)],
    ['status', openApiSchema(kind.status)],
  ]

  it.each(roots)('%s has no keyword that a structural schema may not have', (_name, root) => {
    expect(findings(root, complaints)).toEqual([])
  })

  it.each(roots)('%s bounds every list, map and string', (_name, root) => {
    expect(findings(root, unbounded)).toEqual([])
  })

  it.each(roots)('%s describes every field', (_name, root) => {
    const missing = [...walk(root)].filter(({ node, isField }) => isField && !node['description'])
    expect(missing.map(({ path }) => path)).toEqual([])
  })

  it.each(roots)('%s gives every rule a message that says what is right', (_name, root) => {
    const rules = [...walk(root)].flatMap(
      ({ node }) => (node['x-kubernetes-validations'] ?? []) as { rule: string; message?: string }[],
    )
    expect(rules.filter(({ message }) => message === undefined || message.length < 15)).toEqual([])
  })

  it('has the generated YAML committed as it is now', () => {
    const committed = readFileSync(
      new URL(`./yaml/${customResourceDefinitionFile(kind)}`, import.meta.url),
      'utf8',
    )
    expect(committed).toBe(customResourceDefinitionYaml(kind))
    expect(parse(committed)).toEqual(customResourceDefinition(kind))
  })

  it('has printer columns that read fields of the status, or the age', () => {
    const status = new Set([...walk(openApiSchema(kind.status))].map(({ path }) => `.status${path}`))
    const unknown = kind.columns
      .map((column) => column.jsonPath.replace(/\[.*$/, ''))
      .filter((path) => path !== '.metadata.creationTimestamp' && !status.has(path))
    expect(unknown).toEqual([])
  })
})

describe('the check itself', () => {
  it.each([
    { name: 'a union', shape: z.union([z.string(), z.int()]), want: ': anyOf' },
    {
      name: 'a strict object',
      shape: z.strictObject({ a: z.int() }),
      want: ': additionalProperties beside properties',
    },
    { name: 'a tuple', shape: z.object({ a: z.tuple([z.int()]) }), want: '.a[]: anyOf' },
    {
      name: 'a fractional bound',
      shape: z.object({ a: z.number().min(0.5) }),
      want: '.a: a bound is a fraction',
    },
    { name: 'an untyped field', shape: z.object({ a: z.unknown() }), want: '.a: no type' },
  ])('finds $name', ({ shape, want }) => {
    expect(findings(openApiSchema(shape), complaints)).toContain(want)
  })

  it('finds an unbounded string inside a list', () => {
    expect(findings(openApiSchema(z.array(z.string()).max(2)), unbounded)).toEqual(['[]: maxLength'])
  })
})
