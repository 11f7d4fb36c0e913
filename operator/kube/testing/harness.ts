// What tests of this layer need around the thing under test: a silent log that remembers, metrics of their own, and
// waiting for a condition with an end.

import { Registry } from 'prom-client'
import { createClock } from '../clock.ts'
import type { Clock } from '../clock.ts'
import { createKubeMetrics } from '../metrics.ts'
import type { KubeMetrics } from '../metrics.ts'
import type { Logger, Random } from '../types.ts'

export interface LogLine {
  level: 'debug' | 'info' | 'warn' | 'error'
  fields: object
  message: string
}

export interface Harness {
  clock: Clock
  random: Random
  log: Logger
  lines: LogLine[]
  registry: Registry
  metrics: KubeMetrics
}

export function createHarness(clock: Clock = realClock()): Harness {
  const registry = new Registry()
  const lines: LogLine[] = []
  const at = (level: LogLine['level']) => (fields: object, message: string) => {
    lines.push({ level, fields, message })
  }
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  return { clock, random: () => 0.5, log, lines, registry, metrics: createKubeMetrics(registry) }
}

function realClock(): Clock {
  return createClock({ now: Date.now, monotonic: () => performance.now() })
}

/** Looks every 20 ms; what it waited for is in the error. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${String(timeoutMs)} ms in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
