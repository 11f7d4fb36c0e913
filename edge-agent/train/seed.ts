// One seed a node and round from the campaign's, so that nodes shuffle differently and a repeated round repeats exactly.
import { createHash } from 'node:crypto'

export function roundSeed(campaignSeed: number, round: number, node: string): number {
  const hash = createHash('sha256')
    .update(JSON.stringify([campaignSeed, round, node]))
    .digest()
  return hash.readUIntBE(0, 6)
}
