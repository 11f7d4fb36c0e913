// Who may import whom. The paths are resolved, so another spelling of an import does not get past. Every rule is tested
// with an import that it must refuse: e2e/architecture/boundaries.test.ts.
const TEST = '\\.test\\.ts$|/testing/|\\.case\\.ts$'
const KUBERNETES_CLIENT = 'node_modules/@kubernetes/'
const CDK8S = 'node_modules/(cdk8s|cdk8s-plus-[0-9]+|constructs)/'

const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to })
const fromFolder = (folder) => ({ path: `^${folder}/`, pathNot: TEST })

const KINDS = ['federated-round', 'edge-model', 'device-profile']
const otherKinds = (kind) => KINDS.filter((other) => other !== kind).join('|')

const rules = [
  rule('no-cycles', 'A cycle has no first file to read.', {}, { circular: true }),
  rule('no-unresolved', 'An import must lead somewhere.', {}, { couldNotResolve: true }),
  rule(
    'no-undeclared-package',
    'What is imported stands in package.json.',
    { pathNot: '^e2e/|\\.(config|cruiser)\\.' },
    { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
  ),
  rule(
    'no-development-package-in-product',
    'What runs in a container is a dependency, not a development dependency.',
    { path: '^(crds|operator|federation|edge-agent)/', pathNot: TEST },
    { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
  ),
  rule('nothing-imports-main', 'An entry file wires and is not wired.', {}, { path: '(^|/)main\\.ts$' }),
  rule('no-test-in-product', 'Product code imports no test.', { pathNot: TEST }, { path: '\\.test\\.ts$' }),
  rule(
    'nothing-imports-e2e',
    'End-to-end code stands at the end.',
    { path: '^(crds|operator|federation|edge-agent|charts)/', pathNot: TEST },
    { path: '^(e2e|examples|bench)/' },
  ),
  rule(
    'nothing-imports-charts',
    'Only the chart and what installs it know the chart.',
    { path: '^(crds|operator|federation|edge-agent)/' },
    { path: '^charts/' },
  ),
  rule(
    'federation-knows-neither-side',
    'Both sides share federation/; it knows neither, nor the kinds.',
    { path: '^federation/' },
    { path: '^(crds|operator|edge-agent|charts|e2e)/' },
  ),
  rule('operator-not-edge-agent', 'They meet on the wire.', fromFolder('operator'), { path: '^edge-agent/' }),
  rule('edge-agent-not-operator', 'They meet on the wire.', fromFolder('edge-agent'), {
    path: '^(operator|crds)/',
  }),
  rule('crds-stand-alone', 'The kinds depend on their schema language only.', fromFolder('crds'), {
    pathNot: '^crds/|node_modules/(zod|yaml)/|^node:|^(fs|url|path)$',
    dependencyTypesNot: ['core'],
  }),
  rule(
    'crds-touch-no-machine',
    'Only the generator reads or writes.',
    { path: '^crds/', pathNot: `^crds/generate\\.ts$|${TEST}` },
    { dependencyTypes: ['core'] },
  ),
  rule(
    'kubernetes-client-in-one-place',
    'operator/kube is the only one to know the Kubernetes client.',
    { pathNot: `^(operator/kube|e2e)/|${TEST}|node_modules` },
    { path: KUBERNETES_CLIENT },
  ),
  rule(
    'cdk8s-in-charts',
    'Only the chart generator knows cdk8s.',
    { pathNot: '^charts/|node_modules' },
    { path: CDK8S },
  ),
  rule(
    'pure-files-touch-no-machine',
    'Decisions and merging strategies are functions of their arguments; only readers and checks open files, and only two files build and load the add-on.',
    {
      path: '(^|/)decide\\.ts$|^federation/aggregation/',
      pathNot: `^federation/aggregation/(float32-file|check-update|native-kernels|native/build)\\.ts$|${TEST}`,
    },
    { dependencyTypes: ['core'] },
  ),
  ...KINDS.map((kind) =>
    rule(
      `${kind}-stands-alone`,
      'The kinds meet through the API server.',
      { path: `^operator/${kind}/`, pathNot: TEST },
      { path: `^operator/(${otherKinds(kind)})/` },
    ),
  ),
]

export default {
  forbidden: rules,
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(\\.tributary|dist)/' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
    tsConfig: { fileName: 'tsconfig.json' },
  },
}
