// /healthz, /readyz and /metrics on a plain port.

import type { Registry } from 'prom-client'

/** Undefined when all is well, else a sentence saying what is not. */
export type HealthCheck = () => string | undefined

export interface HealthOptions {
  port: number
  /** All addresses unless told. */
  host?: string | undefined
  registry: Registry
  live?: Record<string, HealthCheck> | undefined
  ready?: Record<string, HealthCheck> | undefined
}

export interface HealthServer {
  readonly port: number
  close(): Promise<void>
}
