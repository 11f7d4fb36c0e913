// The agents: one on every edge node. They need no API server, no Service and no cluster DNS, only the hub's address.
// Root without capabilities: the store is a folder of the node, and a folder that the kubelet makes belongs to root.
import { k8s } from 'cdk8s-plus-27'
import type { Construct } from 'constructs'
import {
  imageOf,
  MADE_BY_OPERATOR,
  metadata,
  nameOf,
  podValues,
  restrictedContainer,
  selectorLabels,
  tokenMount,
  tokenVolume,
  variable,
} from './common.ts'
import { action, onlyIf, plain, text } from './helm.ts'
import { TemplateChart } from './template-chart.ts'

const STORE_FOLDER = '/var/lib/tributary'

/** From the ConfigMap that the operator makes at its first start; the pod waits for it. */
const trusted = (name: string, key: string): k8s.EnvVar => ({
  name,
  valueFrom: { configMapKeyRef: { name: MADE_BY_OPERATOR.trust, key } },
})

const probe = (path: string): k8s.Probe => ({
  httpGet: { path, port: k8s.IntOrString.fromString('predict') },
  periodSeconds: 10,
  failureThreshold: 6,
})

const container: k8s.Container = {
  name: 'agent',
  ...imageOf('edgeAgent'),
  args: ['agent', `--state-folder=${STORE_FOLDER}`, '--port', text('agent.port')],
  env: [
    variable('TRIBUTARY_HUB_ADDRESS', action('include "tributary.hubAddress" . | quote')),
    // Only what is public: the Secrets of the hub hold private keys and stay with the hub.
    trusted('TRIBUTARY_HUB_CA', 'ca.crt'),
    trusted('TRIBUTARY_SIGNING_PUBLIC_KEY', 'signing.pub'),
  ],
  // hostPort is given by the API server when the pod is in the node's network.
  ports: [{ name: 'predict', containerPort: 8000 }],
  livenessProbe: probe('/v2/health/live'),
  readinessProbe: probe('/v2/health/ready'),
  securityContext: { ...restrictedContainer, runAsUser: 0 },
  terminationMessagePolicy: 'FallbackToLogsOnError',
  volumeMounts: [tokenMount, { name: 'store', mountPath: STORE_FOLDER }],
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
