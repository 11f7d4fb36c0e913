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
//       tiers/<tier>/<offer>/<hex>.update    the sum of a tier's updates, as far as it has arrived; dropped once merged
//       tiers/<tier>/<offer>/offer.json      whose updates it holds
//       tiers/<tier>/<offer>/intermediate.json its acceptance: from here on the updates of all its members count
//       dropped/<node>.json                  whose update came too late to count
//       conflicts/<node>.json                who sent other bytes after those that were accepted
//       failures/<node>.json short.json      who could not train; an attempt that ended below quorum
//       commit.json result.json              the set that is merged; the merged parameters
//       evaluations/<node>.json closed.json
//   campaigns/<uid>/controllers/<tier>.json  where the tier's pods find their controller, and which pods were it before
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
  /** At an edge controller, which may not know the round before: for nodes that have the parameters of that one. */
  delta: z.object({ baseDigest: z.string(), blob: BlobRecord }).optional(),
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
  /** The round in whose merge it counts, a later one with FedBuff and for late updates; absent: the round that it is kept with. */
  countsIn: z.number().optional(),
  digest: z.string(),
  /** Bytes of it that are here: 0 when it came within an intermediate update. */
  size: z.number(),
  samples: z.number(),
  steps: z.number(),
  loss: z.number(),
  initialLoss: z.number().optional(),
  acceptedMs: z.number(),
  /** Key of the intermediate update that holds it; absent: its own bytes are here. Never in a file of its own. */
  through: z.string().optional(),
})
export type UpdateRecord = z.infer<typeof UpdateRecord>

const MemberRecord = z.object({
  node: z.string(),
  digest: z.string(),
  samples: z.number(),
  steps: z.number(),
  loss: z.number(),
})
export type MemberRecord = z.infer<typeof MemberRecord>

/** Whose updates an edge controller will send as one; sorted by node. Promises nothing to anybody. */
export const OfferRecord = z.object({ tier: z.string(), members: z.array(MemberRecord) })
export type OfferRecord = z.infer<typeof OfferRecord>

/**
 * An accepted intermediate update: the sum of its members' updates, each times its samples. Its existence is the acknowledgement
 * of all of them.
 */
export const IntermediateRecord = OfferRecord.extend({
  /** Of the controllers of this tier: which one sent it. */
  epoch: z.number(),
  /** Digest of the member list. */
  offer: z.string(),
  /** The round in whose merge it counts; absent: the round that it is kept with. */
  countsIn: z.number().optional(),
  digest: z.string(),
  size: z.number(),
  acceptedMs: z.number(),
})
export type IntermediateRecord = z.infer<typeof IntermediateRecord>

/** The controller of a tier as it introduced itself last. */
export const ControllerRecord = z.object({
  /** What it said; absent when the one that the plan names has not said anything yet. */
  hello: z
    .object({ pod: z.string(), epoch: z.number(), address: z.string(), certificate: z.string() })
    .optional(),
  /** Pods of earlier epochs: they never speak for the tier again. The newest last. */
  fenced: z.array(z.string()),
})
export type ControllerRecord = z.infer<typeof ControllerRecord>

/** An update that came too late to count; told once a node. */
export const DroppedRecord = z.object({ participant: z.string() })
export type DroppedRecord = z.infer<typeof DroppedRecord>

/** The first bytes that were refused because others of the same key had been accepted. */
export const ConflictRecord = z.object({
  participant: z.string(),
  accepted: z.string(),
  refused: z.string(),
  refusedMs: z.number(),
})
export type ConflictRecord = z.infer<typeof ConflictRecord>

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
      /** Key of the intermediate update that holds it: `<tier>/<hex of the offer>`. */
      through: z.string().optional(),
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
