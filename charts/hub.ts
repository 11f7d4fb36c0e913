// The hub: one pod with a volume, and the Service by which edge and operator reach it. The pod waits for the Secrets
// that the operator makes at its first start.
import { k8s } from 'cdk8s-plus-27'
import type { Construct } from 'constructs'
import {
  fromPod,
  HEALTH_PORT,
  HUB_PORT,
  imageOf,
  LOG_LEVEL,
  MADE_BY_OPERATOR,
  metadata,
  nameOf,
  podValues,
  restrictedContainer,
  restrictedPod,
  selectorLabels,
  variable,
} from './common.ts'
import { action, block, onlyIf, plain, text } from './helm.ts'
import { TemplateChart } from './template-chart.ts'

const TLS_FOLDER = '/etc/tributary/tls'
const SIGNING_FOLDER = '/etc/tributary/signing'
const DATA_FOLDER = '/var/lib/tributary'
const ownerOnly = 0o440

const isPersistence = (type: string): string => `eq .Values.hub.persistence.type "${type}"`

const container: k8s.Container = {
  name: 'hub',
  ...imageOf('operator'),
  args: ['hub'],
  env: [
    fromPod('POD_NAMESPACE', 'metadata.namespace'),
    variable('TRIBUTARY_OPERATOR_SERVICE_ACCOUNT', nameOf('operator')),
    variable('TRIBUTARY_AGENT_SERVICE_ACCOUNT', nameOf('agent')),
    variable('TRIBUTARY_TLS_FOLDER', TLS_FOLDER),
    variable('TRIBUTARY_SIGNING_FOLDER', SIGNING_FOLDER),
    variable('TRIBUTARY_DATA_FOLDER', DATA_FOLDER),
    LOG_LEVEL,
  ],
  ports: [
    { name: 'hub', containerPort: HUB_PORT },
    { name: 'health', containerPort: HEALTH_PORT },
  ],
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
  volumeMounts: [
    { name: 'tls', mountPath: TLS_FOLDER, readOnly: true },
    { name: 'signing', mountPath: SIGNING_FOLDER, readOnly: true },
    { name: 'data', mountPath: DATA_FOLDER },
  ],
}

const volumes: k8s.Volume[] = [
  {
    name: 'tls',
    secret: { secretName: MADE_BY_OPERATOR.hubTls, defaultMode: ownerOnly },
  },
  {
    name: 'signing',
    secret: { secretName: MADE_BY_OPERATOR.signingKey, defaultMode: ownerOnly },
  },
]

const dataVolumes = [
  onlyIf(isPersistence('HostPath'), {
    name: 'data',
    hostPath: { path: text('hub.persistence.hostPath'), type: 'Directory' },
  }),
  onlyIf(isPersistence('EmptyDir'), {
    name: 'data',
    emptyDir: { sizeLimit: text('hub.persistence.size') },
  }),
]

const claim = {
  metadata: { name: 'data', labels: selectorLabels('hub') },
  spec: {
    accessModes: ['ReadWriteOnce'],
    storageClassName: onlyIf(
      '.Values.hub.persistence.storageClassName',
      text('hub.persistence.storageClassName'),
    ),
    resources: { requests: { storage: text('hub.persistence.size') } },
  },
}

export class HubChart extends TemplateChart {
  constructor(scope: Construct, id: string) {
    super(scope, id)
    this.addService()
    const statefulSet = new k8s.KubeStatefulSet(this, 'statefulset', {
      metadata: metadata('hub'),
      spec: {
        serviceName: nameOf('hub'),
        replicas: 1,
        selector: { matchLabels: selectorLabels('hub') },
        template: {
          metadata: { labels: selectorLabels('hub') },
          spec: {
            serviceAccountName: nameOf('hub'),
            automountServiceAccountToken: true,
            securityContext: restrictedPod,
            terminationGracePeriodSeconds: 30,
            containers: [container],
            volumes,
          },
        },
      },
    })
    this.fill(statefulSet, {
      ...podValues('hub'),
      '/spec/template/spec/volumes/-': dataVolumes[0],
      '/spec/template/spec/volumes/2': dataVolumes[1],
      '/spec/persistentVolumeClaimRetentionPolicy': onlyIf(isPersistence('PersistentVolumeClaim'), {
        whenDeleted: action('ternary "Retain" "Delete" .Values.hub.persistence.keep'),
        whenScaled: 'Retain',
      }),
      '/spec/volumeClaimTemplates': onlyIf(isPersistence('PersistentVolumeClaim'), [claim]),
    })
  }

  private addService(): void {
    const service = new k8s.KubeService(this, 'service', {
      metadata: metadata('hub'),
      spec: {
        selector: selectorLabels('hub'),
        ports: [{ name: 'hub', port: HUB_PORT, targetPort: k8s.IntOrString.fromString('hub') }],
      },
    })
    this.fill(service, {
      '/metadata/annotations': block('hub.service.annotations'),
      '/spec/type': plain('hub.service.type'),
      '/spec/ports/0/nodePort': onlyIf(
        'eq .Values.hub.service.type "NodePort"',
        plain('hub.service.nodePort'),
      ),
    })
  }
}
