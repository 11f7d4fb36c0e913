// Names and limits that both ends of a connection must agree on; docs/protocol.md describes them.

/** Audience of the projected service-account tokens that identify pods to the hub. */
export const TOKEN_AUDIENCE = 'tributary-hub'

/** Name in the hub's certificate. Clients ask for it whatever address they dial, so that NAT and moved addresses do no harm. */
export const HUB_SERVER_NAME = 'tributary-hub'

/** Name in an edge controller's certificate, which its parent introduces: nothing but the certificate itself is trusted. */
export const CONTROLLER_SERVER_NAME = 'tributary-controller'

/**
 * Reasons of an Idle that gives nothing to do and takes nothing away: a training under way goes on, and its update waits until
 * the parent asks for it. With any other reason a training pod gives up what it does.
 */
export const PATIENT_IDLE_REASONS: ReadonlySet<string> = new Set([
  'WaitingForRound',
  'CompilingTraining',
  'WaitingForController',
])

/** gRPC trailer that carries an error's CamelCase reason. */
export const REASON_TRAILER = 'tributary-reason'

/** Reason of an edge controller that a later one of its tier has replaced, and of whoever still speaks for it. Final. */
export const EPOCH_FENCED = 'EpochFenced'

/** Largest gRPC message in bytes, both ways. */
export const MAXIMUM_MESSAGE_BYTES = 4 * 1024 * 1024

/** Largest update, parameter vector, graph or published model in bytes that a tier accepts. */
export const MAXIMUM_BLOB_BYTES = 2 * 1024 * 1024 * 1024

/** Bytes of one upload request's body at most; a client sends a larger update as several requests. */
export const MAXIMUM_CHUNK_BYTES = 64 * 1024 * 1024

/** HTTP header of a `GET`: bytes a second, at least 1024, at which the body should be sent. */
export const TRANSFER_LIMIT_HEADER = 'transfer-limit'

/** HTTP header names of the resumable upload. Offsets and lengths are decimal bytes. */
export const UPLOAD_HEADERS = {
  /** Request: where this body starts. Response: the bytes that are safely on disk. */
  offset: 'upload-offset',
  /** Total bytes of the update. */
  length: 'upload-length',
  /** `?1` on the response once the update is accepted. */
  complete: 'upload-complete',
  /** `sha256:<hex>` of the whole update. */
  digest: 'update-digest',
  /** Training samples behind the update: its weight in the aggregation. */
  samples: 'update-samples',
  /** Optimiser steps that the node made in this round. */
  steps: 'update-steps',
  /** Mean training loss of the node in the last epoch of this round. */
  loss: 'update-loss',
  /** Loss of the global parameters on the node's training samples, where the strategy wants it. */
  initialLoss: 'update-initial-loss',
  /** `sha256:<hex>` of the global parameters that training started from. */
  parameters: 'update-parameters',
  /** `sha256:<hex>` of the offer whose members an edge controller's update holds; then samples, steps and losses go by the offer. */
  members: 'update-members',
} as const

/** Path of a content-addressed blob. @param digest `sha256:<64 hex>` */
export function blobPath(digest: string): string {
  return `/v1alpha1/blobs/${digest.replace(':', '/')}`
}

/** Path of one participant's update. The key (campaign, round, participant) is the key of exactly-once. */
export function updatePath(campaign: string, round: number, participant: string): string {
  return `/v1alpha1/campaigns/${encodeURIComponent(campaign)}/rounds/${round}/updates/${encodeURIComponent(participant)}`
}
