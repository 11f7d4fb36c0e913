// The Helm chart as a map from path to content: the same source always gives the same bytes.
import { readFileSync } from 'node:fs'
import { App } from 'cdk8s'
import { stringify } from 'yaml'
import { AgentChart } from './agent.ts'
import { definitionTemplates } from './crds.ts'
import { HubChart } from './hub.ts'
import { OperatorChart } from './operator.ts'
import { RbacChart } from './rbac.ts'
import { readmeFile } from './readme.ts'
import { valuesFile, valuesSchemaFile } from './values-files.ts'

const GENERATED = '# Generated from charts/ by `make generate`. Do not edit.\n'
const GENERATED_TEMPLATE = '{{- /* Generated from charts/ by `make generate`. Do not edit. */}}\n'

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')

function chartFile(): string {
  const { version } = JSON.parse(read('../package.json')) as { version: string }
  const chart = {
    apiVersion: 'v2',
    name: 'tributary',
    description: 'Federated learning as a Kubernetes resource',
    type: 'application',
    version,
    appVersion: version,
    // CEL rules in the CRDs, and volume claims that go with their StatefulSet.
    kubeVersion: '>=1.30.0-0',
    keywords: ['federated-learning', 'edge', 'onnx', 'operator'],
  }
  return GENERATED + stringify(chart)
}

function workloadTemplates(): Record<string, string> {
  const app = new App()
  return {
    'rbac.yaml': new RbacChart(app, 'rbac').templates(),
    'operator.yaml': new OperatorChart(app, 'operator').templates(),
    'hub.yaml': new HubChart(app, 'hub').templates(),
    'agent.yaml': `{{- if .Values.agent.enabled }}\n${new AgentChart(app, 'agent').templates()}{{- end }}\n`,
  }
}

/** Every file of the chart, by its path inside the chart. */
export function chartFiles(): Record<string, string> {
  const templates = Object.entries({ ...workloadTemplates(), ...definitionTemplates() })
  return {
    'Chart.yaml': chartFile(),
    'README.md': readmeFile(),
    'values.yaml': valuesFile(),
    'values.schema.json': valuesSchemaFile(),
    'templates/_helpers.tpl': read('text/_helpers.tpl'),
    'templates/NOTES.txt': read('text/NOTES.txt'),
    ...Object.fromEntries(
      templates.map(([path, content]) => [`templates/${path}`, GENERATED_TEMPLATE + content]),
    ),
  }
}
