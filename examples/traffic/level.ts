/*
 * What a forecast is of: the level of congestion of a road segment over some minutes.
 */
export const LEVELS = ['free', 'slow', 'jammed'] as const
export const HISTORY_MINUTES = 10

/** Mean speed as a part of the limit: levels of service A and B, C and D, E and F of the Highway Capacity Manual. */
const FREE_FROM = 0.67
const JAMMED_BELOW = 0.4

/**
 * Mean over the vehicles, not over the minutes: a minute counts by how dense the traffic was. An empty road is free.
 * @param speed as a part of the limit, minute by minute  @param density of the same minutes, in any unit
 */
export function levelOf(speed: ArrayLike<number>, density: ArrayLike<number>): number {
  let [vehicles, weighted] = [0, 0]
  for (let minute = 0; minute < speed.length; minute++) {
    vehicles += density[minute] ?? 0
    weighted += (density[minute] ?? 0) * (speed[minute] ?? 0)
  }
  const mean = vehicles > 0 ? weighted / vehicles : 1
  if (mean < JAMMED_BELOW) return LEVELS.indexOf('jammed')
  return LEVELS.indexOf(mean < FREE_FROM ? 'slow' : 'free')
}
