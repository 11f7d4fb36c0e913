// From cdk8s manifests to Helm templates. What only Helm can know at install time is written into a manifest as a
// placeholder, a string that survives synthesis, and becomes a template action when the manifest is printed as YAML.
import { stringify } from 'yaml'
import type { ValuePath } from './values.ts'

type Placeholder = { action: string } | { blockOf: string } | { onlyIf: string; then: unknown }

const encode = (placeholder: Placeholder): string => `⟦${JSON.stringify(placeholder)}⟧`

const decode = (value: unknown): Placeholder | undefined =>
  typeof value === 'string' && value.startsWith('⟦') && value.endsWith('⟧')
    ? (JSON.parse(value.slice(1, -1)) as Placeholder)
    : undefined

/** `{{ expression }}` in place of a scalar. */
export const action = (expression: string): string => encode({ action: expression })

/** A text value, quoted so that no value turns into a number or a truth by accident. */
export const text = (path: ValuePath): string => action(`.Values.${path} | quote`)

/** A number or truth value. */
export const plain = (path: ValuePath): string => action(`.Values.${path}`)

/** A map or list of values as it is; the field is absent when it is empty. */
export const block = (path: ValuePath): string => encode({ blockOf: `.Values.${path}` })

/** The field or list item, only when the condition holds. */
export const onlyIf = (condition: string, then: unknown): string => encode({ onlyIf: condition, then })

const scalar = (value: unknown): string => stringify(value, { lineWidth: 0 }).trimEnd()

const isCollection = (value: unknown): value is object => typeof value === 'object' && value !== null

const isEmpty = (value: object): boolean => Object.keys(value).length === 0

/** Lines of one field or list item; `lead` is what precedes the value: `key:` or `-`. */
function printed(lead: string, value: unknown, indent: number): string[] {
  const margin = ' '.repeat(indent)
  const placeholder = decode(value)
  if (placeholder !== undefined) return printedPlaceholder(lead, placeholder, indent)
  if (!isCollection(value) || isEmpty(value)) return [`${margin}${lead} ${scalar(value)}`]
  if (lead !== '-') return [`${margin}${lead}`, ...lines(value, indent + 2)]
  const [first = '', ...rest] = lines(value, indent + 2)
  // A template action cannot stand on the dash's line, so the dash then stands alone.
  return first.trimStart().startsWith('{{')
    ? [`${margin}-`, first, ...rest]
    : [`${margin}- ${first.trimStart()}`, ...rest]
}

function printedPlaceholder(lead: string, placeholder: Placeholder, indent: number): string[] {
  const margin = ' '.repeat(indent)
  if ('action' in placeholder) return [`${margin}${lead} {{ ${placeholder.action} }}`]
  if ('onlyIf' in placeholder) {
    const { onlyIf: condition, then } = placeholder
    return [`${margin}{{- if ${condition} }}`, ...printed(lead, then, indent), `${margin}{{- end }}`]
  }
  return [
    `${margin}{{- with ${placeholder.blockOf} }}`,
    `${margin}${lead}`,
    `${margin}  {{- toYaml . | nindent ${String(indent + 2)} }}`,
    `${margin}{{- end }}`,
  ]
}

function lines(value: object, indent: number): string[] {
  return Array.isArray(value)
    ? value.flatMap((item: unknown) => printed('-', item, indent))
    : Object.entries(value).flatMap(([key, item]) => printed(`${scalar(key)}:`, item, indent))
}

/** One manifest as a template, without the document separator. */
export const templateOf = (manifest: object): string => `${lines(manifest, 0).join('\n')}\n`
