/*
 * The simulated city as numbers: its road segments, which of them are neighbours, and what was measured on each
 * in every minute of a day. All scales are fixed constants, so that every node makes the same number of the same
 * observation without having seen anybody else's.
 */
import { join } from 'node:path'

import { readLines } from '../prepared.ts'

export const DAYS = [1, 2, 3, 5] as const
export const MINUTES_A_DAY = 720
export const DISTRICTS = ['northwest', 'northeast', 'southwest', 'southeast'] as const

interface Road {
  readonly name: string
  readonly from: string
  readonly to: string
  readonly district: string
  /** Metres a second. */
  readonly limit: number
}

export interface Segment extends Road {
  /** Places of the segments that lead here or that one can go on to, in the same district; its own if there are none. */
  upstream: readonly number[]
  downstream: readonly number[]
}

/** One value for each minute and segment: `series[minute * segments + segment]`. */
export interface Measurements {
  /** Mean speed as a part of the speed limit; 1 where no vehicle was. */
  readonly speed: Float64Array
  /** Vehicles a kilometre. */
  readonly density: Float64Array
  readonly entered: Float64Array
  readonly left: Float64Array
}

const DATA = join(import.meta.dirname, 'data')

export function readSegments(): Segment[] {
  const lines = readLines(join(DATA, 'segments.csv'), 'with header')
  const alone = lines.map((line) => {
    const [name = '', from = '', to = '', , limit, , , , district = ''] = line.split(',')
    return { name, from, to, district, limit: Number(limit) }
  })
  return alone.map((segment, place) => {
    const within = (accept: (other: Road) => boolean): number[] => {
      const found = alone.flatMap((other, at) =>
        other.district === segment.district && accept(other) ? [at] : [],
      )
      return found.length > 0 ? found : [place]
    }
    const upstream = within((other) => other.to === segment.from && other.from !== segment.to)
    const downstream = within((other) => other.from === segment.to && other.to !== segment.from)
    return { ...segment, upstream, downstream }
  })
}

export function readDay(day: number, segments: readonly Segment[]): Measurements {
  const empty = (fill = 0): Float64Array => new Float64Array(MINUTES_A_DAY * segments.length).fill(fill)
  const measurements = {
    speed: empty(1),
    density: empty(),
    entered: empty(),
    left: empty(),
  }
  const places = new Map(segments.map(({ name }, place) => [name, place]))
  for (const line of readLines(join(DATA, `day${day}.csv.gz`), 'with header')) {
    const [minute, name = '', speed, density, entered, left] = line.split(',')
    const place = places.get(name)
    const limit = segments[place ?? -1]?.limit
    if (place === undefined || limit === undefined) throw new Error(`day ${day}: unknown segment ${name}`)
    const at = Number(minute) * segments.length + place
    measurements.speed[at] = speed === '' ? 1 : Math.min(Number(speed) / limit, 1)
    measurements.density[at] = Number(density)
    measurements.entered[at] = Number(entered)
    measurements.left[at] = Number(left)
  }
  return measurements
}
