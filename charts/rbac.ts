// Who may do what: one service account a process, and roles of exactly the verbs that it uses. Training pods have none;
// they run under their namespace's default account with a token that only the hub accepts.
import { k8s } from 'cdk8s-plus-27'
import type { Construct } from 'constructs'
import { GROUP } from '#crds/names.ts'
import { KINDS } from '#crds/definition.ts'
import { clusterMetadata, MADE_BY_OPERATOR, metadata, nameOf, type Component } from './common.ts'
import { action, block } from './helm.ts'
import { TemplateChart } from './template-chart.ts'

const RBAC = 'rbac.authorization.k8s.io'
const plurals = KINDS.map(({ plural }) => plural)
const PROFILES = 'deviceprofiles'
const withFinalizers = plurals.filter((plural) => plural !== PROFILES)

type Rule = k8s.PolicyRule

const operatorClusterRules: Rule[] = [
  { apiGroups: [''], resources: ['nodes'], verbs: ['list', 'watch'] },
  // Training pods and edge controllers, in the namespaces of their FederatedRounds; made once and never changed.
  { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch', 'create', 'delete'] },
  // get and patch set and remove finalizers; nothing else outside status is written. Profiles have no finalizer.
  { apiGroups: [GROUP], resources: withFinalizers, verbs: ['get', 'list', 'watch', 'patch'] },
  { apiGroups: [GROUP], resources: [PROFILES], verbs: ['list', 'watch'] },
  { apiGroups: [GROUP], resources: plurals.map((plural) => `${plural}/status`), verbs: ['patch'] },
  // get and patch count up an Event that is said again.
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'get', 'patch'] },
]

const { hubTls, signingKey, trust, lease } = MADE_BY_OPERATOR

const operatorRules: Rule[] = [
  // create cannot be limited to a name.
  { apiGroups: [''], resources: ['secrets', 'configmaps'], verbs: ['create'] },
  { apiGroups: [''], resources: ['secrets'], resourceNames: [hubTls, signingKey], verbs: ['get'] },
  { apiGroups: [''], resources: ['configmaps'], resourceNames: [trust], verbs: ['get', 'patch'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
  {
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    resourceNames: [lease],
    verbs: ['get', 'update'],
  },
  { apiGroups: ['apps'], resources: ['deployments'], resourceNames: [nameOf('operator')], verbs: ['get'] },
]

const hubClusterRules: Rule[] = [
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  // First versions of models: spec.source.storageUri configmap://NAME/KEY, in any EdgeModel's namespace.
  { apiGroups: [''], resources: ['configmaps'], verbs: ['get'] },
  // The public keys of service-account tokens, which the hub hands to edge controllers: they check tokens by themselves.
  { nonResourceUrLs: ['/.well-known/openid-configuration', '/openid/v1/jwks'], verbs: ['get'] },
]

export class RbacChart extends TemplateChart {
  constructor(scope: Construct, id: string) {
    super(scope, id)
    this.addServiceAccount('operator')
    this.addServiceAccount('hub')
    this.addServiceAccount('agent')
    this.addClusterRole('operator', operatorClusterRules)
    this.addClusterRole('hub', hubClusterRules)
    this.addRole('operator', operatorRules)
  }

  private addServiceAccount(component: Component): void {
    const account = new k8s.KubeServiceAccount(this, `${component}-account`, {
      metadata: metadata(component),
      // Pods that call the API server mount a token by their own setting.
      automountServiceAccountToken: false,
    })
    this.fill(account, { '/metadata/annotations': block(`${component}.serviceAccount.annotations`) })
  }

  private addClusterRole(component: Component, rules: Rule[]): void {
    new k8s.KubeClusterRole(this, `${component}-cluster-role`, {
      metadata: clusterMetadata(component),
      rules,
    })
    new k8s.KubeClusterRoleBinding(this, `${component}-cluster-role-binding`, {
      metadata: clusterMetadata(component),
      roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: nameOf(component) },
      subjects: [this.subject(component)],
    })
  }

  private addRole(component: Component, rules: Rule[]): void {
    new k8s.KubeRole(this, `${component}-role`, { metadata: metadata(component), rules })
    new k8s.KubeRoleBinding(this, `${component}-role-binding`, {
      metadata: metadata(component),
      roleRef: { apiGroup: RBAC, kind: 'Role', name: nameOf(component) },
      subjects: [this.subject(component)],
    })
  }

  private subject(component: Component): k8s.Subject {
    return {
      kind: 'ServiceAccount',
      name: nameOf(component),
      namespace: action('.Release.Namespace | quote'),
    }
  }
}
