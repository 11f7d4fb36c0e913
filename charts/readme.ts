// The chart's README: the text in text/README.md and a row for every value.
import { readFileSync } from 'node:fs'
import { valuesSchema, type JsonSchema } from './values-files.ts'
import { Values } from './values.ts'

interface Row {
  path: string
  value: unknown
  description: string
}

/** Fields with fields of their own are followed down, unless they are Kubernetes' own and taken whole. */
function rows(schema: JsonSchema, values: unknown, path = ''): Row[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const value = (values as Record<string, unknown>)[name]
    const here = path === '' ? name : `${path}.${name}`
    const isOurs = field.properties !== undefined && field['additionalProperties'] === false
    if (isOurs) return rows(field, value, here)
    return [{ path: here, value, description: field.description ?? '' }]
  })
}

/** The affinity that keeps pods off edge nodes is too long for a table. */
const MAXIMUM_LENGTH = 100

function shown(value: unknown): string {
  const json = JSON.stringify(value)
  return json.length > MAXIMUM_LENGTH ? 'see values.yaml' : `\`${json}\``
}

export function readmeFile(): string {
  const text = readFileSync(new URL('text/README.md', import.meta.url), 'utf8')
  const table = rows(valuesSchema(), Values.parse({})).map(
    ({ path, value, description }) =>
      `| \`${path}\` | ${shown(value)} | ${description.replaceAll('|', '\\|')} |\n`,
  )
  return `<!-- Generated from charts/ by \`make generate\`. Do not edit. -->\n${text}${table.join('')}`
}
