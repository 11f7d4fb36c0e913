// Seeds of a node and round from the campaign's, so that nodes shuffle and round differently and a repeated round repeats exactly.
import { createHash } from 'node:crypto'

/** 48 bits: the order of the samples, and Dropout. */
export function roundSeed(campaignSeed: number, round: number, node: string): number {
  return digestOf([campaignSeed, round, node]).readUIntBE(0, 6)
}

/** 32 bits: how the update's values are rounded. */
export function roundingSeed(campaignSeed: number, round: number, node: string): number {
  return digestOf([campaignSeed, round, node, 'rounding']).readUInt32BE(0)
}

function digestOf(parts: readonly (string | number)[]): Buffer {
  return createHash('sha256').update(JSON.stringify(parts)).digest()
}
