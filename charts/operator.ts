// The operator: one leader and, with more replicas, others that wait for its Lease.
import { k8s } from 'cdk8s-plus-27'
import type { Construct } from 'constructs'
import { action, plain } from './helm.ts'
import {
  fromPod,
  HEALTH_PORT,
  imageOf,
  imageReference,
  LOG_LEVEL,
  metadata,
  nameOf,
  podValues,
  restrictedContainer,
  restrictedPod,
  selectorLabels,
  TOKEN_FILE,
  tokenMount,
  tokenVolume,
  variable,
} from './common.ts'
import { TemplateChart } from './template-chart.ts'

const environment: k8s.EnvVar[] = [
  fromPod('POD_NAME', 'metadata.name'),
  fromPod('POD_NAMESPACE', 'metadata.namespace'),
  // Given on to training pods: the one address that the edge knows.
  variable('TRIBUTARY_HUB_ADDRESS', action('include "tributary.hubAddress" . | quote')),
  variable('TRIBUTARY_EDGE_AGENT_IMAGE', action(imageReference('edgeAgent'))),
  variable('TRIBUTARY_EDGE_AGENT_PULL_POLICY', action('.Values.image.edgeAgent.pullPolicy')),
  variable('TRIBUTARY_CAMPAIGNS_FOLDER', action('.Values.training.storePath | quote')),
  // Owner of what the operator makes in its namespace, so that uninstalling leaves nothing.
  variable('TRIBUTARY_DEPLOYMENT_NAME', nameOf('operator')),
  TOKEN_FILE,
  LOG_LEVEL,
]

const container: k8s.Container = {
  name: 'operator',
  ...imageOf('operator'),
  args: ['operator'],
  env: environment,
  ports: [{ name: 'health', containerPort: HEALTH_PORT }],
  livenessProbe: {
    httpGet: { path: '/healthz', port: k8s.IntOrString.fromString('health') },
    periodSeconds: 10,
    failureThreshold: 6,
  },
  readinessProbe: {
    httpGet: { path: '/readyz', port: k8s.IntOrString.fromString('health') },
    periodSeconds: 5,
  },
  securityContext: restrictedContainer,
  terminationMessagePolicy: 'FallbackToLogsOnError',
  volumeMounts: [tokenMount],
}

export class OperatorChart extends TemplateChart {
  constructor(scope: Construct, id: string) {
    super(scope, id)
    const deployment = new k8s.KubeDeployment(this, 'deployment', {
      metadata: metadata('operator'),
      spec: {
        selector: { matchLabels: selectorLabels('operator') },
        template: {
          metadata: { labels: selectorLabels('operator') },
          spec: {
            serviceAccountName: nameOf('operator'),
            automountServiceAccountToken: true,
            securityContext: restrictedPod,
            terminationGracePeriodSeconds: 30,
            containers: [container],
            volumes: [tokenVolume],
          },
        },
      },
    })
    this.fill(deployment, { '/spec/replicas': plain('operator.replicas'), ...podValues('operator') })
  }
}
