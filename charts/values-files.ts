// values.yaml and values.schema.json, both from the shape in values.ts.
import { Document, isMap, isScalar, type YAMLMap } from 'yaml'
import { z } from 'zod'
import { Values } from './values.ts'

export interface JsonSchema {
  description?: string
  properties?: Record<string, JsonSchema>
  [keyword: string]: unknown
}

/** JSON schema of the values, as Helm checks them: draft 7, unknown names refused. */
export function valuesSchema(): JsonSchema {
  const schema = z.toJSONSchema(Values, {
    target: 'draft-7',
    io: 'input',
    reused: 'inline',
  }) as JsonSchema
  return { ...(withoutKubernetes(schema) as JsonSchema), title: 'Values of the chart tributary' }
}

/** The kinds' CEL rules and list types mean nothing to Helm. */
function withoutKubernetes(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withoutKubernetes)
  if (typeof node !== 'object' || node === null) return node
  const kept = Object.entries(node).filter(([keyword]) => !keyword.startsWith('x-kubernetes-'))
  return Object.fromEntries(kept.map(([keyword, value]) => [keyword, withoutKubernetes(value)]))
}

export const valuesSchemaFile = (): string => `${JSON.stringify(valuesSchema(), null, 2)}\n`

const HEADER = ` Values of the chart tributary. Generated from charts/values.ts by \`make generate\`; values.schema.json says
 what each may be, and unknown names are refused.`

/** Every value with its default, each under its description. */
export function valuesFile(): string {
  const document = new Document(Values.parse({}), { aliasDuplicateObjects: false })
  document.commentBefore = HEADER
  if (isMap(document.contents)) describeFields(document.contents, valuesSchema(), 0)
  return document.toString({ lineWidth: 0 })
}

function describeFields(map: YAMLMap, schema: JsonSchema, depth: number): void {
  for (const { key, value } of map.items) {
    if (!isScalar(key)) continue
    const field = schema.properties?.[String(key.value)]
    if (field?.description === undefined) continue
    key.commentBefore = wrapped(field.description, 108 - 2 * depth)
    key.spaceBefore = depth === 0 && key !== map.items[0]?.key
    if (isMap(value) && field.properties !== undefined) describeFields(value, field, depth + 1)
  }
}

function wrapped(sentence: string, width: number): string {
  const lines: string[] = ['']
  for (const word of sentence.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (line.length + word.length + 1 > width) lines.push(` ${word}`)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines.join('\n')
}
