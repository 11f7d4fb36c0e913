// The settings that the chart puts into the environment, read and checked once. Errors name the variable, what it
// holds and what would be right.
import { z } from 'zod'

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const

const address = z
  .string()
  .regex(/^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, 'expected host:port, such as 192.0.2.10:30843')

const port = z.coerce.number().int().min(0).max(65535)

const shared = {
  POD_NAMESPACE: z.string().min(1, 'expected the namespace of the installation'),
  TRIBUTARY_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  TRIBUTARY_HEALTH_PORT: port.default(8080),
  /** A kubeconfig for running outside of a cluster; absent: the pod's service account. */
  KUBECONFIG: z.string().optional(),
}

const OperatorEnvironment = z.object({
  ...shared,
  POD_NAME: z.string().min(1, 'expected the name of this pod'),
  /** Address under which edge nodes reach the hub. */
  TRIBUTARY_HUB_ADDRESS: address,
  /** Set by Kubernetes for the Service tributary-hub; absent outside of a cluster. */
  TRIBUTARY_HUB_SERVICE_HOST: z.string().optional(),
  TRIBUTARY_HUB_SERVICE_PORT: z.string().optional(),
  TRIBUTARY_EDGE_AGENT_IMAGE: z.string().min(1, 'expected an image reference'),
  TRIBUTARY_EDGE_AGENT_PULL_POLICY: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
  TRIBUTARY_CAMPAIGNS_FOLDER: z
    .string()
    .regex(/^(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/, 'expected an absolute path on edge nodes')
    .default('/var/lib/tributary-campaigns'),
  TRIBUTARY_DEPLOYMENT_NAME: z.string().default('tributary-operator'),
  TRIBUTARY_TOKEN_FILE: z.string().default('/var/run/secrets/tributary/token'),
})
export type OperatorEnvironment = z.output<typeof OperatorEnvironment>

const HubEnvironment = z.object({
  ...shared,
  TRIBUTARY_OPERATOR_SERVICE_ACCOUNT: z.string().default('tributary-operator'),
  TRIBUTARY_AGENT_SERVICE_ACCOUNT: z.string().default('tributary-agent'),
  TRIBUTARY_TLS_FOLDER: z.string(),
  TRIBUTARY_SIGNING_FOLDER: z.string(),
  TRIBUTARY_DATA_FOLDER: z.string(),
  /** Not TRIBUTARY_HUB_PORT: Kubernetes sets that one for the Service tributary-hub. */
  TRIBUTARY_LISTEN_PORT: port.default(8443),
})
export type HubEnvironment = z.output<typeof HubEnvironment>

type Environment = Record<string, string | undefined>

export function operatorEnvironment(environment: Environment): OperatorEnvironment {
  return parse(OperatorEnvironment, environment)
}

export function hubEnvironment(environment: Environment): HubEnvironment {
  return parse(HubEnvironment, environment)
}

function parse<Shape extends z.ZodType>(shape: Shape, environment: Environment): z.output<Shape> {
  const result = shape.safeParse(environment)
  if (result.success) return result.data
  const problems = result.error.issues.map((issue) => {
    const name = issue.path.join('.')
    return `${name}=${JSON.stringify(environment[name])}: ${issue.message}`
  })
  throw new Error(`environment: ${problems.join('; ')}`)
}
