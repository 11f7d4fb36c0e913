/** The time, passed in so that decisions can be tested at any hour. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
}
