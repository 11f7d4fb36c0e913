// Metrics as statuses show them, pure: sorted by name and rounded, so that equal facts give equal bytes.

export function shownMetrics(metrics: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(metrics)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [name, Number(value.toPrecision(6))]),
  )
}
