// Walks an OpenAPI schema: every node once, with its path as a person would write it (`.a.b[].c`, `.m{}` for map values).

export type SchemaNode = Record<string, unknown>

export interface Visit {
  path: string
  node: SchemaNode
  /** True for a named property, false for list items, map values and the root. */
  isField: boolean
}

export function* walk(node: SchemaNode, path = '', isField = false): Generator<Visit> {
  yield { path, node, isField }
  const properties = (node['properties'] ?? {}) as Record<string, SchemaNode>
  for (const [name, child] of Object.entries(properties)) yield* walk(child, `${path}.${name}`, true)
  const items = node['items']
  if (typeof items === 'object' && items !== null) yield* walk(items as SchemaNode, `${path}[]`)
  const values = node['additionalProperties']
  if (typeof values === 'object' && values !== null) yield* walk(values as SchemaNode, `${path}{}`)
}
