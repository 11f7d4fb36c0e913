// The settings of the commands, read from the environment that a pod gives. A missing or wrong one is named together
// with what would be right; all of them are reported at once.
import { type KeyObject, X509Certificate, createPublicKey } from 'node:crypto'
import { isIP } from 'node:net'

import { z } from 'zod'

import { LEAST_BYTES_PER_SECOND } from '#federation/wire/pacer.ts'
import { parseHubAddress } from '#federation/wire/endpoint.ts'

const authority = z
  .string()
  .refine(isAuthority, "expected the X.509 certificate of the hub's authority, in PEM")

const HubSettings = z.object({
  TRIBUTARY_HUB_ADDRESS: z.string().transform((value, context) => {
    try {
      return parseHubAddress(value)
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
      return z.NEVER
    }
  }),
  TRIBUTARY_HUB_CA: authority,
})

const expectedRate = `expected bytes a second, from ${LEAST_BYTES_PER_SECOND}`

/** What transfers over the node's link may take of it. */
const LinkSettings = z.object({
  TRIBUTARY_BYTES_PER_SECOND: z
    .string()
    .regex(/^\d{4,15}$/, expectedRate)
    .transform(Number)
    .refine((value) => value >= LEAST_BYTES_PER_SECOND, expectedRate)
    .optional(),
})

export const CampaignSettings = z.object({
  TRIBUTARY_CAMPAIGN: z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'expected the UID of a FederatedRound'),
})

export const TrainSettings = HubSettings.extend(CampaignSettings.shape)
  .extend(LinkSettings.shape)
  .extend({
    TRIBUTARY_NODE_NAME: z.string().min(1).max(253),
    /** Checked when the data set is read, so that a mistake reaches the hub as a reason. */
    TRIBUTARY_DATASET: z
      .string()
      .min(1)
      .max(1024 * 1024),
  })
export type TrainSettings = z.infer<typeof TrainSettings>

export const AgentSettings = HubSettings.extend({
  /** Ed25519 public key in PEM, or several one after another while keys are being changed. */
  TRIBUTARY_SIGNING_PUBLIC_KEY: z
    .string()
    .min(1)
    .max(64 * 1024),
})
export type AgentSettings = z.infer<typeof AgentSettings>

export const AggregateSettings = HubSettings.extend(CampaignSettings.shape)
  .extend(LinkSettings.shape)
  .extend({
    /** Name of the zone. */
    TRIBUTARY_TIER: z
      .string()
      .regex(
        /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/,
        'expected the name of a zone: the value of a node label',
      ),
    /** Where the zone's training pods and agents reach the node. */
    TRIBUTARY_NODE_ADDRESS: z.string().refine((value) => isIP(value) !== 0, 'expected an IP address'),
    /** 0: any free one. */
    TRIBUTARY_PORT: z
      .string()
      .regex(/^[0-9]{1,5}$/, 'expected a port from 0 to 65535')
      .transform(Number)
      .refine((port) => port <= 65_535, 'expected a port from 0 to 65535'),
  })
export type AggregateSettings = z.infer<typeof AggregateSettings>

type Environment = Readonly<Record<string, string | undefined>>

export class SettingsError extends Error {
  override readonly name = 'SettingsError'
}

export function readSettings<Schema extends z.ZodType>(
  schema: Schema,
  environment: Environment,
): z.output<Schema> {
  const result = schema.safeParse(environment)
  if (result.success) return result.data
  const problems = result.error.issues.map(({ path, message }) => {
    const name = path.join('.')
    return `${name}: ${environment[name] === undefined ? 'is not set' : message}`
  })
  throw new SettingsError(`environment: ${problems.join('; ')}`)
}

const PUBLIC_KEY = /-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g

/** The Ed25519 public keys in a PEM text. */
export function readPublicKeys(pem: string): KeyObject[] {
  const keys = (pem.match(PUBLIC_KEY) ?? []).map(readKey)
  const good = keys.filter((key) => key?.asymmetricKeyType === 'ed25519') as KeyObject[]
  if (good.length > 0 && good.length === keys.length) return good
  throw new SettingsError('environment: TRIBUTARY_SIGNING_PUBLIC_KEY: expected Ed25519 public keys in PEM')
}

function readKey(pem: string): KeyObject | undefined {
  try {
    return createPublicKey(pem)
  } catch {
    return undefined
  }
}

function isAuthority(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}
