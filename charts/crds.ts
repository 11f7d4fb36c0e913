// The CustomResourceDefinitions as ordinary templates: Helm never upgrades what lies in a chart's crds/ folder.
import { customResourceDefinition, KINDS, type Kind } from '#crds/definition.ts'
import { GROUP } from '#crds/names.ts'
import { action, onlyIf, templateOf } from './helm.ts'

interface Manifest {
  metadata: { name: string }
  [field: string]: unknown
}

function templated(kind: Kind): string {
  const definition = customResourceDefinition(kind) as unknown as Manifest
  const metadata = {
    ...definition.metadata,
    labels: {
      'app.kubernetes.io/name': 'tributary',
      'app.kubernetes.io/instance': action('.Release.Name | quote'),
      'app.kubernetes.io/managed-by': action('.Release.Service | quote'),
    },
    annotations: onlyIf('.Values.crds.keep', { 'helm.sh/resource-policy': 'keep' }),
  }
  return `{{- if .Values.crds.install }}\n${templateOf({ ...definition, metadata })}{{- end }}\n`
}

/** Files below templates/, by path. */
export const definitionTemplates = (): Record<string, string> =>
  Object.fromEntries(KINDS.map((kind) => [`crds/${GROUP}_${kind.plural}.yaml`, templated(kind)]))
