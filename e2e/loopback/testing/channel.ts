// The way of a node's change to the hub, by hand: encoded as the campaign wants, and read again.
import { roundingSeed } from '#edge-agent/train/seed.ts'
import { encodeWithFeedback, openUpdate } from '#federation/tensors/codec.ts'
import {
  type TransferConfigurationInput,
  readTransferConfiguration,
} from '#federation/tensors/configuration.ts'
import { type Layout, updateLayout } from '#federation/tensors/layout.ts'
import { decodeAll } from '#federation/tensors/reader.ts'
import { bytesSource } from '#federation/tensors/source.ts'
import type { LocalTrainer } from '#federation/training/index.ts'

import { LOCAL } from './local-campaign.ts'

/** What arrives of a node's change, and what stays with the node for the next one. */
export class Channel {
  readonly #residuals = new Map<string, Float32Array>()
  readonly #transfer: TransferConfigurationInput
  readonly #layout: Layout

  constructor(transfer: TransferConfigurationInput, { manifest }: LocalTrainer) {
    this.#transfer = transfer
    this.#layout = updateLayout(manifest.parameters)
  }

  async carry(node: string, round: number, change: Float64Array): Promise<Float64Array> {
    const { codec, errorFeedback } = readTransferConfiguration(this.#transfer).upload
    const settings = { layout: this.#layout, codec, seed: roundingSeed(LOCAL.seed, round, node) }
    const before = errorFeedback ? this.#residuals.get(node) : undefined
    const { encoded: bytes, residual } = await encodeWithFeedback(Float32Array.from(change), before, settings)
    this.#residuals.set(node, residual)
    return Float64Array.from(await decodeAll(await openUpdate(bytesSource(bytes), this.#layout, codec)))
  }
}
