// What the hub writes down, and the shape it must have when it is read again. On the volume:
//
//   format.json                              which version of these records the volume holds
//   fleet.json                               until when agents keep what they serve, whatever is planned
//   blobs/sha256/<hex>                       models, graphs, parameters, signed manifests
//   spares/                                  files of merged updates, to be written over; removed at every start
//   models/<uid>/plan.json admission.json versions/<n>.json agents/<node>.json
//   campaigns/<uid>/plan.json start.json failure.json
//   campaigns/<uid>/rounds/<n>/plan.json     the current attempt
//       updates/<node>/<hex>.update          an update trained from here, as far as it has arrived; dropped once merged
//       updates/<node>/update.json           its acceptance: from here on it counts, in the round that it names
//       failures/<node>.json short.json      who could not train; an attempt that ended below quorum
//       commit.json result.json              the set that is merged; the merged parameters
//       evaluations/<node>.json closed.json
//
// Every phase of a round follows from which of these exist; nothing else is remembered.
import { z } from 'zod'

const BlobRecord = z.object({ digest: z.string(), size: z.number() })
const ServerState = z.record(z.string(), BlobRecord)
const Metrics = z.record(z.string(), z.number())

/** The graphs and initial parameters that a campaign works with; written once, when it starts. */
export const StartRecord = z.object({
  baseVersion: z.number(),
  baseDigest: z.string(),
  graphs: z.object({
    manifest: BlobRecord,
    trainingStep: BlobRecord,
    evaluation: BlobRecord,
    /** Of the model that a node trains for itself: both or none. */
    personalManifest: BlobRecord.optional(),
    personalTrainingStep: BlobRecord.optional(),
  }),
  parameters: BlobRecord,
  /** Values at the beginning of the parameters that training moves; the rest is running state. */
  trainableCount: z.number(),
  /** The tensors that the parameters are made of, in their order. */
  tensors: z.array(z.object({ shape: z.array(z.number()), trainable: z.boolean() })),
  /** Which values of the parameters stay on the nodes. */
  localRanges: z.array(z.object({ start: z.number(), end: z.number() })).default([]),
})
export type StartRecord = z.infer<typeof StartRecord>

/** Why a campaign can never start. */
export const CampaignFailureRecord = z.object({ reason: z.string(), message: z.string() })
export type CampaignFailureRecord = z.infer<typeof CampaignFailureRecord>

/** The current attempt of a round. */
export const AttemptRecord = z.object({
  round: z.number(),
  attempt: z.number(),
  participants: z.array(z.string()),
  minimumUpdates: z.number(),
  openedMs: z.number(),
  deadlineMs: z.number(),
  /** Set while the plan wants no round. */
  pausedMs: z.number().optional(),
  /** Global parameters that the round starts from. */
  base: BlobRecord,
  /** The strategy's vectors as the round before left them, by name; none before the first. */
  state: ServerState,
  /** Of local training in this round. */
  learningRate: z.number(),
  /** Nodes that may be drawn, Ready or not. */
  population: z.number(),
})
export type AttemptRecord = z.infer<typeof AttemptRecord>

/** An accepted update, kept with the round whose parameters it started from. Its existence is the acknowledgement. */
export const UpdateRecord = z.object({
  participant: z.string(),
  /** The round in whose merge it counts, a later one only with FedBuff; absent: the round that it is kept with. */
  countsIn: z.number().optional(),
  digest: z.string(),
  size: z.number(),
  samples: z.number(),
  steps: z.number(),
  loss: z.number(),
  initialLoss: z.number().optional(),
  acceptedMs: z.number(),
})
export type UpdateRecord = z.infer<typeof UpdateRecord>

export const FailureRecord = z.object({
  participant: z.string(),
  attempt: z.number(),
  during: z.enum(['training', 'evaluation']),
  reason: z.string(),
  message: z.string(),
})
export type FailureRecord = z.infer<typeof FailureRecord>

export const ShortRecord = z.object({ attempt: z.number(), closedMs: z.number(), reason: z.string() })
export type ShortRecord = z.infer<typeof ShortRecord>

/** The set of updates that is merged; written once and never changed. */
export const CommitRecord = z.object({
  closedMs: z.number(),
  updates: z.array(
    z.object({
      participant: z.string(),
      /** The round whose parameters it started from; absent: the round that is merged. */
      trainedFrom: z.number().optional(),
      digest: z.string(),
      samples: z.number(),
      steps: z.number(),
      loss: z.number(),
      initialLoss: z.number().optional(),
    }),
  ),
})
export type CommitRecord = z.infer<typeof CommitRecord>

export const ResultRecord = z.object({
  parameters: BlobRecord,
  /** The strategy's vectors after this merge, by name. */
  state: ServerState,
  /** For nodes that have the parameters which the round started from. */
  delta: z.object({ baseDigest: z.string(), blob: BlobRecord }).optional(),
  mergedMs: z.number(),
  evaluationDeadlineMs: z.number(),
  evaluators: z.array(z.string()),
})
export type ResultRecord = z.infer<typeof ResultRecord>

export const EvaluationRecord = z.object({
  participant: z.string(),
  samples: z.number(),
  metrics: Metrics,
})
export type EvaluationRecord = z.infer<typeof EvaluationRecord>

export const ClosedRecord = z.object({ closedMs: z.number() })
export type ClosedRecord = z.infer<typeof ClosedRecord>

/** A published version of a model. */
export const VersionRecord = z.object({
  version: z.number(),
  digest: z.string(),
  size: z.number(),
  parentDigest: z.string(),
  createdMs: z.number(),
  campaign: z.string(),
  round: z.number(),
  metrics: Metrics,
  participants: z.number(),
  samples: z.number(),
  manifest: BlobRecord,
})
export type VersionRecord = z.infer<typeof VersionRecord>

/** What a model's admission found out; written once it is decided. */
export const AdmissionRecord = z.object({
  outcome: z.enum(['Ready', 'Refused']),
  reason: z.string(),
  message: z.string(),
  parameterCount: z.number(),
})
export type AdmissionRecord = z.infer<typeof AdmissionRecord>

/** The last thing an agent said about a model. */
export const AgentRecord = z.object({
  node: z.string(),
  version: z.number(),
  digest: z.string(),
  failureReason: z.string(),
  failureMessage: z.string(),
  failedVersion: z.number(),
  lastReportMs: z.number(),
})
export type AgentRecord = z.infer<typeof AgentRecord>
