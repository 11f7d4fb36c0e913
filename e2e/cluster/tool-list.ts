// The programs a cluster is made of, in the order in which they are wanted: a cluster test needs
// apiServerTools only. Versions live in the go.mod beside each module, and nowhere else.

export interface Tool {
  readonly name: string
  /** Folder under e2e/tools whose go.mod pins the tool. */
  readonly module: string
  readonly package: string
  /** Go variables that tell the program its own version: `%v` is the version in go.mod, e.g. v1.34.4. */
  readonly versionOf?: { readonly module: string; readonly variables: readonly string[] }
}

const kubernetesVersion = {
  module: 'k8s.io/kubernetes',
  variables: [
    'k8s.io/component-base/version.gitVersion=%v',
    'k8s.io/component-base/version.gitMajor=%M',
    'k8s.io/component-base/version.gitMinor=%m',
    'k8s.io/client-go/pkg/version.gitVersion=%v',
  ],
}

const kubernetes = (name: string): Tool => ({
  name,
  module: 'kubernetes',
  package: `k8s.io/kubernetes/cmd/${name}`,
  versionOf: kubernetesVersion,
})

export const tools = {
  etcd: { name: 'etcd', module: 'etcd', package: 'go.etcd.io/etcd/server/v3' },
  'kube-apiserver': kubernetes('kube-apiserver'),
  kubectl: kubernetes('kubectl'),
  'kube-controller-manager': kubernetes('kube-controller-manager'),
  'kube-scheduler': kubernetes('kube-scheduler'),
  kubelet: kubernetes('kubelet'),
  'kube-proxy': kubernetes('kube-proxy'),
  helm: {
    name: 'helm',
    module: 'helm',
    package: 'helm.sh/helm/v3/cmd/helm',
    versionOf: {
      module: 'helm.sh/helm/v3',
      // Helm's releases are told which Kubernetes they render for when there is no cluster; else charts meet v1.20.
      variables: [
        'helm.sh/helm/v3/internal/version.version=%v',
        'helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1',
        'helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34',
        'helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1',
        'helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=34',
      ],
    },
  },
  kind: { name: 'kind', module: 'kind', package: 'sigs.k8s.io/kind' },
  pause: { name: 'pause', module: 'pause', package: 'tributary.dev/e2e/tools/pause' },
} as const satisfies Record<string, Tool>

export type ToolName = keyof typeof tools

/** What cluster tests need: an API server, and Helm for the chart's. */
export const apiServerTools: readonly ToolName[] = ['etcd', 'kube-apiserver', 'kubectl', 'helm']
export const netnsTools: readonly ToolName[] = [
  ...apiServerTools,
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'pause',
]
export const kindTools: readonly ToolName[] = ['kind', 'kubectl', 'helm']
