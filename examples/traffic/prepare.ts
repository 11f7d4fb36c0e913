/*
 * Samples for the forecast: the last ten minutes of a road segment and its neighbours, and how congested the
 * segment is ten minutes later. A node owns a district and sees nothing beyond its border. A whole day is
 * held out as the test set, so that no test sample shares a minute with a training sample.
 */
import { Random } from '#federation/training/random.ts'

import {
  checkNodes,
  prepareFromCommandLine,
  type PreparedData,
  type PrepareRequest,
  shuffled,
  writePrepared,
} from '../prepared.ts'
import {
  DAYS,
  DISTRICTS,
  type Measurements,
  MINUTES_A_DAY,
  readDay,
  readSegments,
  type Segment,
} from './history.ts'
import { HISTORY_MINUTES, levelOf } from './level.ts'

const AHEAD_MINUTES = 10
/** The level is that of the five minutes around the minute that is forecast: one alone is mostly signal phase. */
const AROUND_MINUTES = 2
/** Histories and forecasts of two samples of a segment hardly share a minute. */
const EVERY_MINUTES = 20
const TEST_DAYS = 1
const SPLIT_STREAM = 102
const SCALES = { density: 1 / 60, flow: 1 / 10, limit: 1 / 13.89 }
const SERIES = [
  'speed',
  'density',
  'entered',
  'left',
  'upstream_speed',
  'upstream_density',
  'downstream_speed',
  'downstream_density',
  'limit',
] as const

interface Place {
  readonly segments: readonly Segment[]
  readonly segment: Segment
  readonly index: number
}

export function prepare(request: PrepareRequest): PreparedData {
  checkNodes(request.nodes)
  if (request.nodes.length !== DISTRICTS.length) {
    throw new RangeError(`${request.nodes.length} nodes: expected ${DISTRICTS.length}, one for each district`)
  }
  const testDays = chooseTestDays(request.seed)
  const segments = readSegments()
  const test: string[] = []
  const nodes = DISTRICTS.map((): string[] => [])
  for (const day of DAYS) {
    const measurements = readDay(day, segments)
    for (const { district, row } of samplesOf(measurements, segments)) {
      const target = testDays.has(day) ? test : nodes[DISTRICTS.findIndex((name) => name === district)]
      target?.push(row)
    }
  }
  return writePrepared(request, header(), { test, nodes })
}

function chooseTestDays(seed: number): Set<number> {
  return new Set<number>(shuffled(DAYS, new Random(seed, SPLIT_STREAM)).slice(0, TEST_DAYS))
}

/** The model's input is [batch, series, minutes]: all minutes of a series stand together, the oldest first. */
function header(): string {
  const minutes = Array.from({ length: HISTORY_MINUTES }, (_, index) => HISTORY_MINUTES - 1 - index)
  return [...SERIES.flatMap((series) => minutes.map((ago) => `${series}_${ago}`)), 'level'].join(',')
}

function* samplesOf(
  measurements: Measurements,
  segments: readonly Segment[],
): Generator<{ district: string; row: string }> {
  const last = MINUTES_A_DAY - AHEAD_MINUTES - AROUND_MINUTES
  for (let now = HISTORY_MINUTES - 1; now < last; now += EVERY_MINUTES) {
    for (const [index, segment] of segments.entries()) {
      const place = { segments, segment, index }
      const row = [...features(measurements, place, now), levelAt(measurements, place, now + AHEAD_MINUTES)]
      yield { district: segment.district, row: row.join(',') }
    }
  }
}

function features(measurements: Measurements, place: Place, now: number): string[] {
  const { segments, segment, index } = place
  const at = (series: Float64Array, minute: number, where: number): number =>
    series[minute * segments.length + where] ?? 0
  const around = (series: Float64Array, minute: number, where: readonly number[]): number =>
    where.reduce((sum, one) => sum + at(series, minute, one), 0) / where.length
  const { speed, density, entered, left } = measurements
  const series: ((minute: number) => number)[] = [
    (minute) => at(speed, minute, index),
    (minute) => at(density, minute, index) * SCALES.density,
    (minute) => at(entered, minute, index) * SCALES.flow,
    (minute) => at(left, minute, index) * SCALES.flow,
    (minute) => around(speed, minute, segment.upstream),
    (minute) => around(density, minute, segment.upstream) * SCALES.density,
    (minute) => around(speed, minute, segment.downstream),
    (minute) => around(density, minute, segment.downstream) * SCALES.density,
    () => segment.limit * SCALES.limit,
  ]
  return series.flatMap((value) =>
    Array.from({ length: HISTORY_MINUTES }, (_, step) =>
      String(Math.round(1000 * value(now - HISTORY_MINUTES + 1 + step)) / 1000),
    ),
  )
}

function levelAt(measurements: Measurements, { segments, index }: Place, minute: number): number {
  const around = Array.from({ length: 2 * AROUND_MINUTES + 1 }, (_, step) => {
    return (minute - AROUND_MINUTES + step) * segments.length + index
  })
  const values = (series: Float64Array): number[] => around.map((at) => series[at] ?? 0)
  return levelOf(values(measurements.speed), values(measurements.density))
}

if (import.meta.main) prepareFromCommandLine(prepare)
