// What an agent says it has loaded, with every field held to a size and form before it is kept: what lies on the
// volume and is told to the operator stays small whatever an agent sends.
import { z } from 'zod'
import type { AgentReport } from '#federation/wire/generated/tributary.ts'
import { TierError } from '#federation/tier/serving/errors.ts'

const MAXIMUM_MODELS = 256
const MAXIMUM_NAME = 253
const MAXIMUM_REASON = 64
const MAXIMUM_MESSAGE = 512

const name = z.string().min(1).max(MAXIMUM_NAME)

const ServedModel = z.object({
  namespace: name,
  name,
  version: z.int().min(0),
  digest: z.string().regex(/^(sha256:[0-9a-f]{64})?$/, 'is neither sha256:<64 hex> nor empty'),
  failureReason: z
    .string()
    .regex(/^([A-Z][A-Za-z0-9]*)?$/, 'is neither in CamelCase nor empty')
    .max(MAXIMUM_REASON),
  // Only people read it: a message that is too long is no reason to know nothing of the node.
  failureMessage: z.string().transform((text) => text.slice(0, MAXIMUM_MESSAGE)),
  failedVersion: z.int().min(0),
})

const Report = z.object({
  softwareVersion: z.string().max(MAXIMUM_NAME),
  models: z.array(ServedModel).max(MAXIMUM_MODELS),
})
type CheckedReport = z.infer<typeof Report>

/** Throws an error that names the first field that is wrong. */
export function checkReport(report: AgentReport): CheckedReport {
  const result = Report.safeParse(report)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const field = issue?.path.join('.') ?? ''
  throw new TierError('invalid', 'ReportInvalid', `agent report: ${field}: ${issue?.message ?? 'is wrong'}`)
}
