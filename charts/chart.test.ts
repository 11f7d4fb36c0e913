// The chart as it is committed: current, every value used, every value documented, no verb too many.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { walk, type SchemaNode } from '#crds/testing/walk.ts'
import { chartFiles } from './chart.ts'
import { valuesSchema } from './values-files.ts'
import { Values } from './values.ts'

const FOLDER = fileURLToPath(new URL('./tributary', import.meta.url))

const files = chartFiles()
const templates = Object.entries(files).filter(([path]) => path.startsWith('templates/'))

const committed = (): Record<string, string> =>
  Object.fromEntries(
    globSync('**/*', { cwd: FOLDER, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(FOLDER.length + 1), readFileSync(path, 'utf8')]),
  )

/** Values that templates read, as paths: `hub.service.type`. */
const pathsInUse = (): string[] => {
  const paths = templates.flatMap(([, content]) => [...content.matchAll(/\.Values\.([A-Za-z0-9.]+)/g)])
  const images = ['repository', 'tag', 'digest'].filter((field) =>
    files['templates/_helpers.tpl']?.includes(`$image.${field}`),
  )
  const direct = [...new Set(paths.map(([, path = '']) => path))]
  // The helper for image references is given the whole image.
  return direct.flatMap((path) =>
    /^image\.[A-Za-z]+$/.test(path) ? images.map((field) => `${path}.${field}`) : [path],
  )
}

const isLeaf = (node: SchemaNode): boolean => node['properties'] === undefined
const fields = [...walk(valuesSchema())].filter(({ isField }) => isField)

/** Helm's own place, of which the schema says that nothing is read. */
const leaves = fields
  .filter(({ node, path }) => isLeaf(node) && !path.includes('[]') && path !== '.global')
  .map(({ path }) => path.slice(1))

describe('the committed chart', () => {
  it('is what the source says now, file by file', () => {
    expect(committed()).toEqual(files)
  })

  it('comes out the same every time', () => {
    expect(chartFiles()).toEqual(files)
  })

  it('has no template action in the definitions but its own', () => {
    const definitions = templates.filter(([path]) => path.startsWith('templates/crds/'))
    expect(definitions).toHaveLength(3)
    const actions = definitions.flatMap(([, content]) => content.match(/\{\{.*?\}\}/g) ?? [])
    expect([...new Set(actions)].sort()).toEqual([
      '{{ .Release.Name | quote }}',
      '{{ .Release.Service | quote }}',
      '{{- /* Generated from charts/ by `make generate`. Do not edit. */}}',
      '{{- end }}',
      '{{- if .Values.crds.install }}',
      '{{- if .Values.crds.keep }}',
    ])
  })
})

describe('the values', () => {
  it('are all read by a template', () => {
    const inUse = pathsInUse()
    const unread = leaves.filter((leaf) => !inUse.some((path) => `${leaf}.`.startsWith(`${path}.`)))
    expect(unread).toEqual([])
  })

  it('are all declared that a template reads', () => {
    const declared = fields.map(({ path }) => path.slice(1))
    expect(pathsInUse().filter((path) => !declared.includes(path))).toEqual([])
  })

  it('are all described', () => {
    expect(fields.filter(({ node }) => !node['description']).map(({ path }) => path)).toEqual([])
  })

  it('refuse names that nobody reads, but where the API server is the judge', () => {
    const judgedByTheServer = /^\.global$|\.(resources|tolerations)/
    const open = [...walk(valuesSchema())].filter(
      ({ node, path }) =>
        node['properties'] !== undefined &&
        node['additionalProperties'] !== false &&
        !judgedByTheServer.test(path),
    )
    expect(open.map(({ path }) => path)).toEqual([])
  })

  it('have the same defaults in values.yaml as in their shape', () => {
    expect(parse(files['values.yaml'] ?? '')).toEqual(Values.parse({}))
  })
})

describe('the roles', () => {
  interface Rule {
    apiGroups?: string[]
    resources?: string[]
    nonResourceURLs?: string[]
    verbs: string[]
    resourceNames?: string[]
  }
  interface Role {
    kind: string
    metadata: { name: string }
    rules: Rule[]
  }

  const roles = (files['templates/rbac.yaml'] ?? '')
    .replaceAll(/^ *\{\{-.*\}\}\n/gm, '')
    .replaceAll(/\{\{.*?\}\}/g, 'x')
    .split('---\n')
    .map((document) => parse(document) as Role)
    .filter(({ kind }) => kind.endsWith('Role'))

  const granted = roles.flatMap(({ kind, metadata, rules }) =>
    rules.flatMap(({ resources, nonResourceURLs, verbs, resourceNames }) =>
      [...(resources ?? []), ...(nonResourceURLs ?? [])].map((resource) =>
        [kind, metadata.name, resource, ...(resourceNames ?? []), ...verbs].join(' '),
      ),
    ),
  )

  it('have no wildcard', () => {
    const everything = roles.flatMap(({ rules }) =>
      rules.flatMap((rule) => Object.values(rule).flat() as string[]),
    )
    expect(everything).not.toContain('*')
  })

  it('let secrets be read by name only, and only in the namespace of installation', () => {
    expect(granted.filter((grant) => grant.includes('secrets'))).toEqual([
      'Role tributary-operator secrets create',
      'Role tributary-operator secrets tributary-hub-tls tributary-signing-key get',
    ])
  })

  it('let the hub read the public keys of tokens', () => {
    expect(granted.filter((grant) => grant.includes(' /'))).toEqual([
      'ClusterRole tributary-hub /.well-known/openid-configuration get',
      'ClusterRole tributary-hub /openid/v1/jwks get',
    ])
  })

  it('let the operator write, of its own kinds, finalizers and status and nothing else', () => {
    const kinds = /federatedrounds|edgemodels|deviceprofiles/
    expect(granted.filter((grant) => kinds.test(grant)).sort()).toEqual([
      'ClusterRole tributary-operator deviceprofiles list watch',
      'ClusterRole tributary-operator deviceprofiles/status patch',
      'ClusterRole tributary-operator edgemodels get list watch patch',
      'ClusterRole tributary-operator edgemodels/status patch',
      'ClusterRole tributary-operator federatedrounds get list watch patch',
      'ClusterRole tributary-operator federatedrounds/status patch',
    ])
  })

  it('give agents nothing', () => {
    expect(granted.filter((grant) => grant.includes('agent'))).toEqual([])
  })
})
