// Manifests that are wrong in one way each, and what the API server must say: the field, the value where it can show
// one, and what would be right.
import { minimalModel, minimalProfile, minimalRound, type Manifest } from './manifests.ts'

export interface WrongManifest {
  name: string
  manifest: Manifest
  says: string[]
}

const regression = { loss: { type: 'MeanSquaredError' } }

const dataset = (fields: Record<string, unknown>): Manifest =>
  minimalProfile({
    datasets: [{ name: 'digits', hostPath: '/srv/digits.csv', labelColumns: ['label'], ...fields }],
  })

const template = (fields: Record<string, unknown>): Manifest => minimalRound({ template: fields })

const rounds: WrongManifest[] = [
  {
    name: 'a misspelt field',
    manifest: minimalRound({ roundz: 3 }),
    says: ['unknown field "spec.roundz"'],
  },
  {
    name: 'a field of a later version',
    manifest: minimalRound({ privacy: { epsilon: 1 } }),
    says: ['unknown field "spec.privacy"'],
  },
  {
    name: 'no model',
    manifest: minimalRound({ modelRef: undefined }),
    says: ['spec.modelRef', 'Required value'],
  },
  {
    name: 'no rounds',
    manifest: minimalRound({ rounds: 0 }),
    says: ['spec.rounds', 'Invalid value: 0', 'greater than or equal to 1'],
  },
  {
    name: 'a word for a number',
    manifest: minimalRound({ rounds: 'ten' }),
    says: ['spec.rounds', 'must be of type integer'],
  },
  {
    name: 'a loss that does not exist',
    manifest: minimalRound({ training: { loss: { type: 'Hinge' } } }),
    says: ['spec.training.loss.type', '"Hinge"', 'supported values: "SoftmaxCrossEntropy"'],
  },
  {
    name: 'parameters of another loss',
    manifest: minimalRound({ training: { loss: { type: 'MeanSquaredError', huber: { delta: 2 } } } }),
    says: ['spec.training.loss.huber', '"MeanSquaredError"', 'huber goes with type Huber only'],
  },
  {
    name: 'parameters of another optimiser',
    manifest: minimalRound({ training: { ...regression, optimizer: { type: 'SGD', adam: {} } } }),
    says: ['spec.training.optimizer.adam', '"SGD"', 'adam goes with type Adam only'],
  },
  {
    name: 'weight decay of another optimiser',
    manifest: minimalRound({ training: { ...regression, optimizer: { type: 'Adam', adamW: {} } } }),
    says: ['spec.training.optimizer.adamW', '"Adam"', 'adamW goes with type AdamW only'],
  },
  {
    name: 'a look ahead without momentum',
    manifest: minimalRound({ training: { ...regression, optimizer: { sgd: { nesterov: true } } } }),
    says: ['spec.training.optimizer.sgd.nesterov', 'nesterov needs a momentum above 0'],
  },
  {
    name: 'a gradient clipped to nothing',
    manifest: minimalRound({ training: { ...regression, gradientClipping: { type: 'Norm', maximum: 0 } } }),
    says: ['spec.training.gradientClipping.maximum', 'Invalid value: 0', 'greater than 0'],
  },
  {
    name: 'the same frozen parameters twice',
    manifest: minimalRound({ training: { ...regression, frozenParameters: ['features.*', 'features.*'] } }),
    says: ['spec.training.frozenParameters[1]', 'Duplicate value: "features.*"'],
  },
  {
    name: 'a learning rate of nothing',
    manifest: minimalRound({ training: { ...regression, optimizer: { learningRate: 0 } } }),
    says: ['spec.training.optimizer.learningRate', 'Invalid value: 0', 'greater than 0'],
  },
  {
    name: 'nothing held out',
    manifest: minimalRound({ evaluation: { holdoutFraction: 0 } }),
    says: ['spec.evaluation.holdoutFraction', 'Invalid value: 0', 'greater than 0'],
  },
  {
    name: 'everything held out',
    manifest: minimalRound({ evaluation: { holdoutFraction: 1 } }),
    says: ['spec.evaluation.holdoutFraction', 'Invalid value: 1', 'less than 1'],
  },
  {
    name: 'a target without a bound',
    manifest: minimalRound({ until: { metric: 'accuracy' } }),
    says: ['spec.until', 'exactly one of atLeast and atMost'],
  },
  {
    name: 'a metric that the loss does not give',
    manifest: minimalRound({ until: { metric: 'meanSquaredError', atMost: 1 } }),
    says: ['spec.until.metric', '"meanSquaredError"', 'accuracy goes with SoftmaxCrossEntropy'],
  },
  {
    name: 'a quorum that no round can reach',
    manifest: minimalRound({
      participants: { profiles: ['gateway'], perRound: 2 },
      completion: { minUpdates: 3 },
    }),
    says: ['spec.participants.perRound', 'at least completion.minUpdates'],
  },
  {
    name: 'the same profile twice',
    manifest: minimalRound({ participants: { profiles: ['gateway', 'gateway'] } }),
    says: ['spec.participants.profiles[1]', 'Duplicate value: "gateway"'],
  },
  {
    name: 'a name with a space',
    manifest: minimalRound({ dataset: 'Digits Set' }),
    says: ['spec.dataset', '"Digits Set"', 'lower-case letters, digits, - and .'],
  },
  {
    name: 'a name too long for its pods',
    manifest: minimalRound({}, 'a'.repeat(64)),
    says: ['metadata.name must have at most 63 characters'],
  },
]

const strategy = (
  type: string,
  fields: Record<string, unknown>,
  spec: Record<string, unknown> = {},
): Manifest => minimalRound({ aggregation: { strategy: { type, ...fields } }, ...spec })

const few = { participants: { profiles: ['gateway'], perRound: 10 }, completion: { minUpdates: 4 } }

const strategies: WrongManifest[] = [
  {
    name: 'a strategy that does not exist',
    manifest: strategy('FedBest', {}),
    says: ['spec.aggregation.strategy.type', '"FedBest"', 'supported values: "FedAvg"'],
  },
  {
    name: 'parameters of another strategy',
    manifest: strategy('FedAvg', { krum: { byzantine: 1 } }),
    says: ['spec.aggregation.strategy.krum', '"FedAvg"', 'krum goes with type Krum only'],
  },
  {
    name: 'a strategy without the parameters that it needs',
    manifest: strategy('FedProx', {}),
    says: ['spec.aggregation.strategy.type', '"FedProx"', 'type FedProx needs fedProx'],
  },
  {
    name: 'Krum with too few updates',
    manifest: strategy('Krum', { krum: { byzantine: 1 } }, few),
    says: ['spec.completion.minUpdates', 'too low for Krum', '2 * byzantine + 3'],
  },
  {
    name: 'Multi-Krum that would average liars',
    manifest: strategy('MultiKrum', { multiKrum: { byzantine: 0, selected: 5 } }, few),
    says: ['spec.completion.minUpdates', 'too low for MultiKrum', 'byzantine + selected'],
  },
  {
    name: 'Bulyan with too few updates',
    manifest: strategy('Bulyan', { bulyan: { byzantine: 1 } }, few),
    says: ['spec.completion.minUpdates', 'too low for Bulyan', '4 * byzantine + 3'],
  },
  {
    name: 'a trimmed mean of nothing',
    manifest: strategy('TrimmedMean', { trimmedMean: { trimmed: 2 } }, few),
    says: ['spec.completion.minUpdates', 'too low for TrimmedMean', '2 * trimmed + 1'],
  },
  {
    name: 'norm clipping with too few updates',
    manifest: strategy('NormClipping', { normClipping: { byzantine: 2 } }, few),
    says: ['spec.completion.minUpdates', 'too low for NormClipping', '2 * byzantine + 1'],
  },
  {
    name: 'a comparison of every two of a whole fleet',
    manifest: strategy('GeometricMedian', {}),
    says: ['spec.participants.perRound', '"GeometricMedian"', 'of at most 1024'],
  },
  {
    name: 'FedBuff without a buffer size',
    manifest: strategy('FedBuff', {}),
    says: ['spec.aggregation.strategy.type', '"FedBuff"', 'type FedBuff needs fedBuff'],
  },
  {
    name: 'a quorum that is larger than the buffer',
    manifest: strategy('FedBuff', { fedBuff: { bufferSize: 3 } }, few),
    says: ['spec.completion.minUpdates', 'too high for FedBuff', 'fedBuff.bufferSize'],
  },
  {
    name: 'a buffer that is larger than the draw',
    manifest: strategy('FedBuff', { fedBuff: { bufferSize: 11 } }, few),
    says: ['spec.participants.perRound', 'too low for FedBuff', 'fedBuff.bufferSize'],
  },
  {
    name: 'a staleness for which parameters are not kept',
    manifest: strategy('FedBuff', { fedBuff: { bufferSize: 4, maxStaleness: 101 } }, few),
    says: ['spec.aggregation.strategy.fedBuff.maxStaleness', '101', 'less than or equal to 100'],
  },
  {
    name: 'SCAFFOLD with an optimiser that is not SGD',
    manifest: strategy('Scaffold', {}, { training: { ...regression, optimizer: { type: 'Adam' } } }),
    says: ['spec.training.optimizer.type', '"Adam"', 'Scaffold needs training.optimizer.type SGD'],
  },
  {
    name: 'a codec that leaves most out for good',
    manifest: minimalRound({ transfer: { upload: { codec: { type: 'TopK' } } } }),
    says: ['spec.transfer.upload.errorFeedback', '"TopK"', 'need errorFeedback: true'],
  },
  {
    name: 'error feedback of what has no error',
    manifest: minimalRound({ transfer: { upload: { errorFeedback: true } } }),
    says: ['spec.transfer.upload.errorFeedback', 'Float32 is exact'],
  },
  {
    name: 'parameters of another codec',
    manifest: minimalRound({ transfer: { upload: { codec: { type: 'Int8', int4: {} } } } }),
    says: ['spec.transfer.upload.codec.int4', '"Int8"', 'int4 goes with type Int4 only'],
  },
  {
    name: 'a schedule without its parameters',
    manifest: minimalRound({ training: { ...regression, schedule: { type: 'Step' } } }),
    says: ['spec.training.schedule.type', '"Step"', 'type Step needs step'],
  },
]

const pods: WrongManifest[] = [
  {
    name: 'more than a whole link',
    manifest: minimalRound({ transfer: { linkFraction: 1.5 } }),
    says: ['spec.transfer.linkFraction', 'Invalid value: 1.5', 'less than or equal to 1'],
  },
  {
    name: 'nodes that may not be offline for a minute',
    manifest: minimalRound({ maxOfflineSeconds: 30 }),
    says: ['spec.maxOfflineSeconds', 'Invalid value: 30', 'greater than or equal to 60'],
  },
  {
    name: 'a quantity with a unit that does not exist',
    manifest: template({ resources: { limits: { memory: '1.5GB' } } }),
    says: ['spec.template.resources.limits.memory', '"1.5GB"', '(m|k|Ki|M|Mi|G|Gi|T|Ti)'],
  },
  {
    name: 'a resource that does not exist',
    manifest: template({ resources: { limits: { mem: '1Gi' } } }),
    says: ['spec.template.resources.limits', 'a resource is cpu, memory, ephemeral-storage'],
  },
  {
    name: 'more asked for than allowed',
    manifest: template({ resources: { requests: { cpu: 3 }, limits: { cpu: '2500m' } } }),
    says: ['spec.template.resources.requests', 'requests.cpu must not be above limits.cpu'],
  },
  {
    name: 'a pod that is smaller than what training may take',
    manifest: minimalRound({
      training: { ...regression, memoryLimit: '900Mi' },
    }),
    says: ['spec.template.resources.limits', 'at least training.memoryLimit and 192Mi for the process'],
  },
  {
    name: 'a memory limit with a unit that does not exist',
    manifest: minimalRound({ training: { ...regression, memoryLimit: '64MB' } }),
    says: ['spec.training.memoryLimit', '"64MB"', '(m|k|Ki|M|Mi|G|Gi|T|Ti)'],
  },
  {
    name: 'a toleration that no pod may have',
    manifest: template({ tolerations: [{ key: 'edge', operator: 'Exists', value: 'x' }] }),
    says: ['spec.template.tolerations[0].value', 'operator Exists takes no value'],
  },
]

const modelsAndProfiles: WrongManifest[] = [
  {
    name: 'a link that carries next to nothing',
    manifest: minimalProfile({ link: { bandwidth: 100 } }),
    says: ['spec.link.bandwidth', '"100"', 'must be at least 1Ki bytes a second'],
  },
  {
    name: 'a place that models cannot come from',
    manifest: minimalModel({ source: { storageUri: 's3://bucket/model.onnx' } }),
    says: ['spec.source.storageUri', '"s3://bucket/model.onnx"', 'configmap://NAME/KEY or https://HOST/PATH'],
  },
  {
    name: 'a download without a digest',
    manifest: minimalModel({ source: { storageUri: 'https://example.com/model.onnx' } }),
    says: ['spec.source.digest', 'https://example.com/model.onnx', 'needs a digest, sha256:HEX'],
  },
  {
    name: 'a digest of another kind',
    manifest: minimalModel({ source: { storageUri: 'https://example.com/model.onnx', digest: 'md5:00' } }),
    says: ['spec.source.digest', '"md5:00"', 'sha256: and 64 lower-case hexadecimal digits'],
  },
  {
    name: 'a selector operator without its values',
    manifest: minimalProfile({ nodeSelector: { matchExpressions: [{ key: 'site', operator: 'In' }] } }),
    says: ['spec.nodeSelector.matchExpressions[0]', 'operator In and NotIn need values'],
  },
  {
    name: 'a label value that no node can have',
    manifest: minimalProfile({ nodeSelector: { matchLabels: { site: 'north side' } } }),
    says: ['spec.nodeSelector.matchLabels', '"north side"', 'a label value: letters, digits'],
  },
  {
    name: 'a label key that no node can have',
    manifest: minimalProfile({ nodeSelector: { matchLabels: { 'the site': 'north' } } }),
    says: ['spec.nodeSelector.matchLabels', 'a label key such as site or example.com/site'],
  },
  {
    name: 'a path that climbs',
    manifest: dataset({ hostPath: '/srv/../etc/shadow.csv' }),
    says: ['spec.datasets[0].hostPath', '"/srv/../etc/shadow.csv"', 'without hidden or parent folders'],
  },
  {
    name: 'a file that is no CSV',
    manifest: dataset({ hostPath: '/srv/digits.parquet' }),
    says: ['spec.datasets[0].hostPath', '"/srv/digits.parquet"', 'ending in .csv or .csv.gz'],
  },
  {
    name: 'a file in the root of the node',
    manifest: dataset({ hostPath: '/digits.csv' }),
    says: ['spec.datasets[0].hostPath', '"/digits.csv"', 'a folder and a file, such as /srv/x.csv'],
  },
  {
    name: 'no label column',
    manifest: dataset({ labelColumns: [] }),
    says: ['spec.datasets[0].labelColumns', 'at least 1 items'],
  },
]

const personalizations: WrongManifest[] = [
  {
    name: 'a personalisation that does not exist',
    manifest: minimalRound({ personalization: { type: 'FedPer' } }),
    says: ['spec.personalization.type', '"FedPer"', 'supported values: "LocalParameters", "Ditto"'],
  },
  {
    name: 'parameters of another personalisation',
    manifest: minimalRound({
      personalization: { type: 'Ditto', ditto: { lambda: 1 }, localParameters: { names: ['head.*'] } },
    }),
    says: ['spec.personalization.localParameters', '"Ditto"', 'goes with type LocalParameters only'],
  },
  {
    name: 'Ditto without the strength of its pull',
    manifest: minimalRound({ personalization: { type: 'Ditto' } }),
    says: ['spec.personalization.type', '"Ditto"', 'type Ditto needs ditto'],
  },
  {
    name: 'local parameters without their names',
    manifest: minimalRound({ personalization: { type: 'LocalParameters' } }),
    says: ['spec.personalization.type', 'type LocalParameters needs localParameters'],
  },
  {
    name: 'no name of a local parameter',
    manifest: minimalRound({ personalization: { type: 'LocalParameters', localParameters: { names: [] } } }),
    says: ['spec.personalization.localParameters.names', 'at least 1 items'],
  },
  {
    name: 'a pull of no strength',
    manifest: minimalRound({ personalization: { type: 'Ditto', ditto: { lambda: 0 } } }),
    says: ['spec.personalization.ditto.lambda', 'Invalid value: 0', 'greater than 0'],
  },
]

const zones = (fields: Record<string, unknown>, spec: Record<string, unknown> = {}): Manifest =>
  minimalRound({ hierarchy: { type: 'Zones', zones: fields }, ...spec })

const late: WrongManifest[] = [
  {
    name: 'late updates of which nobody knows what becomes',
    manifest: minimalRound({ lateUpdates: 'Keep' }),
    says: ['spec.lateUpdates', '"Keep"', 'supported values: "Drop", "Carry", "Discount"'],
  },
  ...['Carry', 'Discount'].map((lateUpdates) => ({
    name: `${lateUpdates} of late updates with a strategy that remembers nodes`,
    manifest: minimalRound({ lateUpdates, aggregation: { strategy: { type: 'Scaffold' } } }),
    says: ['spec.lateUpdates', '"Scaffold"', 'lateUpdates Drop only', 'go with FedAvg, FedAvgM'],
  })),
]

const hierarchies: WrongManifest[] = [
  {
    name: 'a hierarchy that does not exist',
    manifest: minimalRound({ hierarchy: { type: 'Ring' } }),
    says: ['spec.hierarchy.type', '"Ring"', 'supported values: "Flat", "Zones"'],
  },
  {
    name: 'zones of a flat campaign',
    manifest: minimalRound({ hierarchy: { zones: {} } }),
    says: ['spec.hierarchy.zones', '"Flat"', 'zones goes with type Zones only'],
  },
  {
    name: 'a strategy that needs every single update, in zones',
    manifest: zones({}, { aggregation: { strategy: { type: 'Median' } } }),
    says: ['spec.hierarchy.type', '"Median"', 'goes with FedAvg, FedAvgM'],
  },
  {
    name: 'FedBuff in zones',
    manifest: zones({}, { aggregation: { strategy: { type: 'FedBuff', fedBuff: { bufferSize: 2 } } } }),
    says: ['spec.hierarchy.type', '"FedBuff"', 'goes with FedAvg, FedAvgM'],
  },
  {
    name: 'a zone that closes no earlier than its round',
    manifest: zones({ deadlineSeconds: 300 }, { completion: { deadlineSeconds: 300 } }),
    says: ['spec.hierarchy.zones.deadlineSeconds', 'less than completion.deadlineSeconds'],
  },
  {
    name: 'a label key of zones that no node can have',
    manifest: zones({ nodeLabel: 'the zone' }),
    says: ['spec.hierarchy.zones.nodeLabel', '"the zone"', 'a label key such as site or example.com/site'],
  },
  {
    name: 'a quorum of more than all',
    manifest: zones({ minUpdates: '101%' }),
    says: ['spec.hierarchy.zones.minUpdates', '"101%"', 'a percentage from 1% to 100%'],
  },
  {
    name: 'a quorum of nothing',
    manifest: zones({ minUpdates: 0 }),
    says: ['spec.hierarchy.zones.minUpdates', '"0"', 'a number from 1 to 10000'],
  },
  {
    name: 'a port that a program without rights cannot have',
    manifest: zones({ controller: { port: 443 } }),
    says: ['spec.hierarchy.zones.controller.port', '443', 'greater than or equal to 1024'],
  },
  {
    name: 'controllers that are neither replaced nor not',
    manifest: zones({ controller: { whenLost: 'Wait' } }),
    says: ['spec.hierarchy.zones.controller.whenLost', '"Wait"', 'supported values: "Replace", "UseHub"'],
  },
]

export const WRONG_MANIFESTS: WrongManifest[] = [
  ...rounds,
  ...strategies,
  ...personalizations,
  ...late,
  ...hierarchies,
  ...pods,
  ...modelsAndProfiles,
]
