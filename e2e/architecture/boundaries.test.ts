// Every import boundary, shown by an import that must be refused; without this a typing error in a path pattern would
// switch a rule off in silence. What the architecture allows is shown to pass.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Sandbox, type Verdicts } from './sandbox.ts'

interface Import {
  readonly file: string
  readonly imports: string
  readonly rule?: string
}

const FOLDERS = ['crds', 'operator', 'federation', 'edge-agent', 'charts', 'e2e']

/** What the imports below lead to. */
const TARGETS = [
  'crds/names.ts',
  'crds/generate.ts',
  'operator/main.ts',
  'operator/kube/apply.ts',
  'operator/hub/hub.ts',
  'operator/federated-round/observe.ts',
  'operator/edge-model/observe.ts',
  'operator/device-profile/observe.ts',
  'operator/hub/hub.test.ts',
  'federation/wire/names.ts',
  'federation/aggregation/contract.ts',
  'edge-agent/main.ts',
  'edge-agent/train/trainer.ts',
  'charts/rbac.ts',
  'e2e/cluster/run.ts',
]

const REFUSED: readonly Required<Import>[] = [
  { file: 'federation/wire/a.ts', imports: '#operator/kube/apply.ts', rule: 'federation-knows-neither-side' },
  {
    file: 'federation/wire/b.ts',
    imports: '../../operator/kube/apply.ts',
    rule: 'federation-knows-neither-side',
  },
  {
    file: 'federation/training/a.ts',
    imports: '#edge-agent/train/trainer.ts',
    rule: 'federation-knows-neither-side',
  },
  { file: 'federation/training/b.ts', imports: '#crds/names.ts', rule: 'federation-knows-neither-side' },
  {
    file: 'federation/wire/c.ts',
    imports: '@kubernetes/client-node',
    rule: 'kubernetes-client-in-one-place',
  },
  { file: 'operator/hub/a.ts', imports: '@kubernetes/client-node', rule: 'kubernetes-client-in-one-place' },
  {
    file: 'edge-agent/train/a.ts',
    imports: '@kubernetes/client-node',
    rule: 'kubernetes-client-in-one-place',
  },
  { file: 'crds/a.ts', imports: '@kubernetes/client-node', rule: 'kubernetes-client-in-one-place' },
  { file: 'operator/hub/b.ts', imports: '#edge-agent/train/trainer.ts', rule: 'operator-not-edge-agent' },
  { file: 'edge-agent/train/b.ts', imports: '#operator/hub/hub.ts', rule: 'edge-agent-not-operator' },
  { file: 'edge-agent/train/c.ts', imports: '../../operator/hub/hub.ts', rule: 'edge-agent-not-operator' },
  { file: 'edge-agent/train/d.ts', imports: '#crds/names.ts', rule: 'edge-agent-not-operator' },
  { file: 'crds/b.ts', imports: '#operator/hub/hub.ts', rule: 'crds-stand-alone' },
  { file: 'crds/c.ts', imports: '#federation/wire/names.ts', rule: 'crds-stand-alone' },
  { file: 'crds/d.ts', imports: 'pino', rule: 'crds-stand-alone' },
  { file: 'crds/e.ts', imports: 'node:fs', rule: 'crds-touch-no-machine' },
  { file: 'operator/hub/c.ts', imports: 'cdk8s', rule: 'cdk8s-in-charts' },
  { file: 'crds/f.ts', imports: 'constructs', rule: 'cdk8s-in-charts' },
  { file: 'operator/hub/d.ts', imports: '#charts/rbac.ts', rule: 'nothing-imports-charts' },
  { file: 'operator/hub/e.ts', imports: '#e2e/cluster/run.ts', rule: 'nothing-imports-e2e' },
  { file: 'charts/a.ts', imports: '#e2e/cluster/run.ts', rule: 'nothing-imports-e2e' },
  { file: 'operator/hub/f.ts', imports: '#operator/main.ts', rule: 'nothing-imports-main' },
  { file: 'edge-agent/train/e.ts', imports: '../main.ts', rule: 'nothing-imports-main' },
  { file: 'e2e/cluster/a.ts', imports: '#operator/main.ts', rule: 'nothing-imports-main' },
  { file: 'operator/hub/g.ts', imports: './server.test.ts', rule: 'no-test-in-product' },
  { file: 'federation/tier/rounds/decide.ts', imports: 'node:fs', rule: 'pure-files-touch-no-machine' },
  { file: 'operator/edge-model/decide.ts', imports: 'crypto', rule: 'pure-files-touch-no-machine' },
  {
    file: 'federation/aggregation/median.ts',
    imports: 'node:fs/promises',
    rule: 'pure-files-touch-no-machine',
  },
  {
    file: 'operator/federated-round/a.ts',
    imports: '../edge-model/observe.ts',
    rule: 'federated-round-stands-alone',
  },
  {
    file: 'operator/federated-round/b.ts',
    imports: '#operator/device-profile/observe.ts',
    rule: 'federated-round-stands-alone',
  },
  {
    file: 'operator/edge-model/a.ts',
    imports: '../federated-round/observe.ts',
    rule: 'edge-model-stands-alone',
  },
  {
    file: 'operator/device-profile/a.ts',
    imports: '../edge-model/observe.ts',
    rule: 'device-profile-stands-alone',
  },
  { file: 'operator/hub/h.ts', imports: './cycle.ts', rule: 'no-cycles' },
  { file: 'operator/hub/i.ts', imports: './nowhere.ts', rule: 'no-unresolved' },
  { file: 'operator/hub/j.ts', imports: 'esbuild', rule: 'no-development-package-in-product' },
  { file: 'operator/hub/k.ts', imports: 'undici', rule: 'no-undeclared-package' },
]

const ALLOWED: readonly Import[] = [
  { file: 'operator/kube/l.ts', imports: '@kubernetes/client-node' },
  { file: 'operator/hub/l.ts', imports: '#federation/wire/names.ts' },
  { file: 'operator/hub/m.ts', imports: '#crds/names.ts' },
  { file: 'operator/hub/n.ts', imports: 'node:fs' },
  { file: 'operator/federated-round/l.ts', imports: '#operator/kube/apply.ts' },
  { file: 'operator/federated-round/m.ts', imports: './observe.ts' },
  { file: 'operator/federated-round/decide.ts', imports: '#crds/names.ts' },
  { file: 'federation/aggregation/float32-file.ts', imports: 'node:fs/promises' },
  { file: 'federation/aggregation/native-kernels.ts', imports: 'node:module' },
  { file: 'edge-agent/train/l.ts', imports: '#federation/wire/names.ts' },
  { file: 'crds/l.ts', imports: 'zod' },
  { file: 'crds/generate.ts', imports: 'node:fs' },
  { file: 'charts/l.ts', imports: 'cdk8s' },
  { file: 'charts/m.ts', imports: '#crds/names.ts' },
  { file: 'e2e/cluster/l.ts', imports: '@kubernetes/client-node' },
  { file: 'operator/hub/l.test.ts', imports: '#e2e/cluster/run.ts' },
]

const sandbox = new Sandbox()
let verdicts: Verdicts

beforeAll(async () => {
  for (const target of TARGETS) sandbox.write(target, 'export const here = true\n')
  sandbox.write('operator/hub/cycle.ts', "import './h.ts'\n")
  for (const { file, imports } of [...REFUSED, ...ALLOWED]) sandbox.write(file, `import '${imports}'\n`)
  verdicts = await sandbox.cruise(FOLDERS)
}, 120_000)
afterAll(() => sandbox.remove())

describe('an import that is refused', () => {
  it.each(REFUSED)('$file importing $imports: $rule', ({ file, rule }) => {
    expect(verdicts.get(file) ?? []).toContain(rule)
  })
})

it('has a refused import for every rule', async () => {
  const file = new URL('../../.dependency-cruiser.mjs', import.meta.url).href
  const { default: configuration } = (await import(file)) as { default: { forbidden: { name: string }[] } }
  const shown = new Set(REFUSED.map(({ rule }) => rule))
  expect(configuration.forbidden.map(({ name }) => name).filter((name) => !shown.has(name))).toEqual([])
})

describe('an import that is allowed', () => {
  it.each(ALLOWED)('$file importing $imports', ({ file }) => {
    expect(verdicts.get(file) ?? []).toEqual([])
  })
})
