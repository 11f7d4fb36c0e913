// The way to the parent for those parts of a controller that are there before it is open.
import type { IntermediateOffer, OfferAnswer } from '#federation/wire/generated/tributary.ts'
import type { HubHttp, HubRequest } from '#federation/wire/http.ts'

import type { Parent } from './delivery.ts'

export class WayUp implements Parent {
  #link: Parent | undefined

  get isOpen(): boolean {
    return this.#link !== undefined
  }

  open(link: Parent): void {
    this.#link = link
  }

  get place(): string {
    return this.#opened().place
  }

  async send(request: HubRequest): ReturnType<HubHttp['send']> {
    return await this.#opened().send(request)
  }

  async offer(offer: IntermediateOffer, signal: AbortSignal): Promise<OfferAnswer> {
    return await this.#opened().offer(offer, signal)
  }

  #opened(): Parent {
    if (this.#link) return this.#link
    throw new Error('the way to the parent is not open yet')
  }
}
