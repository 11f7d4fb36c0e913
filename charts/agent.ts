// The agents: one on every edge node. They need no API server, no Service and no cluster DNS, only the hub's address.
// Root without capabilities: the store is a folder of the node, and a folder that the kubelet makes belongs to root.
import { k8s } from 'cdk8s-plus-27'
import type { Construct } from 'constructs'
import {
  fromPod,
  imageOf,
  LOG_LEVEL,
  MADE_BY_OPERATOR,
  metadata,
  nameOf,
  podValues,
  restrictedContainer,
  selectorLabels,
  TOKEN_FILE,
  tokenMount,
  tokenVolume,
  variable,
} from './common.ts'
import { action, onlyIf, plain, text } from './helm.ts'
import { TemplateChart } from './template-chart.ts'

const TRUST_FOLDER = '/etc/tributary/trust'
const STORE_FOLDER = '/var/lib/tributary'

const probe = (path: string): k8s.Probe => ({
  httpGet: { path, port: k8s.IntOrString.fromString('predict') },
  periodSeconds: 10,
  failureThreshold: 6,
})

const container: k8s.Container = {
  name: 'agent',
  ...imageOf('edgeAgent'),
  args: ['agent'],
  env: [
    variable('TRIBUTARY_HUB_ADDRESS', action('include "tributary.hubAddress" . | quote')),
    variable('TRIBUTARY_TRUST_FOLDER', TRUST_FOLDER),
    variable('TRIBUTARY_STORE_FOLDER', STORE_FOLDER),
    variable('TRIBUTARY_PORT', text('agent.port')),
    fromPod('TRIBUTARY_NODE_NAME', 'spec.nodeName'),
    TOKEN_FILE,
    LOG_LEVEL,
  ],
  // hostPort is given by the API server when the pod is in the node's network.
  ports: [{ name: 'predict', containerPort: 8000 }],
  livenessProbe: probe('/v2/health/live'),
  readinessProbe: probe('/v2/health/ready'),
  securityContext: { ...restrictedContainer, runAsUser: 0 },
  terminationMessagePolicy: 'FallbackToLogsOnError',
  volumeMounts: [
    tokenMount,
    { name: 'trust', mountPath: TRUST_FOLDER, readOnly: true },
    { name: 'store', mountPath: STORE_FOLDER },
  ],
}

export class AgentChart extends TemplateChart {
  constructor(scope: Construct, id: string) {
    super(scope, id)
    const daemonSet = new k8s.KubeDaemonSet(this, 'daemonset', {
      metadata: metadata('agent'),
      spec: {
        selector: { matchLabels: selectorLabels('agent') },
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: {} },
        template: {
          metadata: { labels: selectorLabels('agent') },
          spec: {
            serviceAccountName: nameOf('agent'),
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            dnsPolicy: 'Default',
            securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
            terminationGracePeriodSeconds: 30,
            containers: [container],
            volumes: [
              tokenVolume,
              { name: 'trust', configMap: { name: MADE_BY_OPERATOR.trust } },
              {
                name: 'store',
                hostPath: { path: text('agent.storePath'), type: 'DirectoryOrCreate' },
              },
            ],
          },
        },
      },
    })
    this.fill(daemonSet, {
      ...podValues('agent'),
      '/spec/template/spec/hostNetwork': onlyIf('.Values.agent.hostNetwork', true),
      '/spec/template/spec/containers/0/ports/0/containerPort': plain('agent.port'),
      '/spec/updateStrategy/rollingUpdate/maxUnavailable': action(
        'include "tributary.agentMaxUnavailable" .',
      ),
    })
  }
}
