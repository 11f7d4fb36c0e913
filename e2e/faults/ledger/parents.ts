/*
 * To whom participants deliver: the port between the storm and the tree that it rages in. A tree is at least a hub; whatever
 * stands below it is a parent of some participants, can be killed, and may leave its participants to another one.
 */
import type { HubEndpoint } from '#federation/wire/endpoint.ts'

/** A process of the tree that can be killed and comes back. */
export interface Mortal {
  readonly name: string
  kill(): Promise<void>
  start(): Promise<void>
}

export interface Parents {
  readonly mortals: readonly Mortal[]
  /** Where a participant delivers now; asked anew for each delivery. */
  endpointFor(participant: number): HubEndpoint
}
