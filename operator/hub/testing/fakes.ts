// Stand-ins for what the hub is given from outside: tokens that say who they are, models that are their parameters.
import type { ReviewedIdentity, TokenReviewer } from '#federation/tier/serving/identity.ts'
import { ModelRefused, type ModelCompiler } from '#federation/tier/compiler.ts'
import { SourceUnreachable, type ModelSource } from '../model-source.ts'

export const OPERATOR = 'system:serviceaccount:tributary-system:tributary-operator'
export const AGENT = 'system:serviceaccount:tributary-system:tributary-agent'

export const operatorToken = tokenFor({ namespace: 'tributary-system', serviceAccount: 'tributary-operator' })

export function podToken(node: string, pod = `pod-${node}`, namespace = 'city'): string {
  return tokenFor({ namespace, serviceAccount: 'default', podName: pod, nodeName: node })
}

/** Of the edge controller of a tier. */
export function controllerToken(tier: string, epoch = 1, namespace = 'city'): string {
  return podToken(`node-of-${tier}`, `pod-of-${tier}-${epoch}`, namespace)
}

export function agentToken(node: string): string {
  const pod = { podName: `agent-${node}`, nodeName: node }
  return tokenFor({ namespace: 'tributary-system', serviceAccount: 'tributary-agent', ...pod })
}

function tokenFor(claims: {
  namespace: string
  serviceAccount: string
  podName?: string
  nodeName?: string
}): string {
  return Buffer.from(JSON.stringify(claims)).toString('base64url')
}

/** Believes every token that parses. */
export const reviewTestToken: TokenReviewer = async (token) => {
  let claims: Partial<Record<'namespace' | 'serviceAccount' | 'podName' | 'nodeName', string>>
  try {
    claims = JSON.parse(Buffer.from(token, 'base64url').toString()) as typeof claims
  } catch {
    return Promise.resolve(undefined)
  }
  const { namespace = '', serviceAccount = '', podName, nodeName } = claims
  const username = `system:serviceaccount:${namespace}:${serviceAccount}`
  const podUid = podName && `uid-of-${podName}`
  return Promise.resolve<ReviewedIdentity>({ username, namespace, serviceAccount, podName, podUid, nodeName })
}

/** What the API server would say of its keys; the fake tokens are signed with none. */
export const TEST_KEYS = { issuer: 'https://test.invalid', keySet: '{"keys":[]}' }

const PREFIX = Buffer.from('TINY')

/** A model file whose parameters are the given numbers. */
export function tinyModel(parameters: Float32Array): Buffer {
  return Buffer.concat([PREFIX, Buffer.from(parameters.buffer, parameters.byteOffset, parameters.byteLength)])
}

export const tinyCompiler: ModelCompiler = {
  admit: async (model) => Promise.resolve({ parameterCount: parametersOf(model).byteLength / 4 }),
  compile: async (model, { configuration }) => {
    const { loss } = JSON.parse(configuration) as { loss: { type: string } }
    if (loss.type === 'Huber') throw new ModelRefused('TrainingNotPossible', 'this loss is impossible')
    const part = (name: string): Buffer => Buffer.from(`${name} of ${loss.type}`)
    const graphs = { manifest: part('manifest'), trainingStep: part('step'), evaluation: part('evaluation') }
    const parameters = parametersOf(model)
    return Promise.resolve({ ...graphs, parameters, ...oneTensor(parameters.byteLength / 4) })
  },
  publish: async ({ parameters }) => Promise.resolve(Buffer.concat([PREFIX, parameters])),
  delta: async () => Promise.reject(new Error('no deltas here')),
  close: async () => Promise.resolve(),
}

const oneTensor = (trainableCount: number) => ({
  trainableCount,
  tensors: [{ shape: [trainableCount], trainable: true }],
})

function parametersOf(model: Uint8Array): Buffer {
  const bytes = Buffer.from(model)
  if (bytes.subarray(0, PREFIX.length).equals(PREFIX)) return bytes.subarray(PREFIX.length)
  throw new ModelRefused('OperatorNotSupported', 'operator Scan has no gradient')
}

/** A source that serves from memory. */
export function memorySource(files: Map<string, Uint8Array>): ModelSource {
  return {
    load: async ({ storageUri }) => {
      const bytes = files.get(storageUri)
      if (bytes) return Promise.resolve(bytes)
      throw new SourceUnreachable('ConfigMapMissing', `there is no ${storageUri}`)
    },
  }
}
