/*
 * The ledger oracle: given what participants sent and which answers they saw, whether the sum that was merged is one that may
 * be. An acknowledged update counts exactly once, what was never sent or was refused for good does not count, and in between,
 * where an answer was lost, an update counts once or not at all. The sum is the evidence; the record of what was committed
 * must agree with it.
 */

/** What is known of one participant's update in one round. */
export interface Entry {
  /** Digests of which at least the first byte may have left. */
  readonly sent: ReadonlySet<string>
  /** Digests for which an acknowledgement was seen that binds the whole tree. */
  readonly acknowledged: ReadonlySet<string>
  /** Digests that were refused for good: the round was closed, or other bytes count. */
  readonly refused: ReadonlySet<string>
  /** An acknowledgement was seen, be it one that does not bind: something of what was sent has to count. */
  readonly owed: boolean
}

export interface Merged {
  /** The unnormalised sum, as near to integers as float32 leaves it. */
  readonly sum: readonly number[]
  /** (participant, digest) of each update that the record of the commit names. */
  readonly committed: readonly { readonly participant: number; readonly digest: string }[]
}

export interface Finding {
  readonly kind: 'lost' | 'twice' | 'notSent' | 'refusedYetCounted' | 'otherBytes' | 'payload' | 'record'
  readonly detail: string
}

/** Nearer than this to an integer a value of the sum stands for it; float32 leaves less than a hundredth. */
const TOLERANCE = 0.1

/** @param entries one for each participant, by number */
export function judge(
  entries: readonly Entry[],
  merged: Merged,
  vectorOf: (participant: number, digest: string) => Float32Array,
): Finding[] {
  const findings = entries.flatMap((entry, participant) => judgeOne(entry, participant, merged))
  // Whose digests are in doubt leaves no payload to compare with.
  if (findings.length > 0) return findings
  return judgePayload(entries.length, merged, vectorOf)
}

function judgeOne(entry: Entry, participant: number, { sum, committed }: Merged): Finding[] {
  const value = sum[participant] ?? Number.NaN
  const count = Math.round(value)
  const finding = (kind: Finding['kind'], detail: string): Finding[] => [
    { kind, detail: `participant ${participant}: ${detail}` },
  ]
  if (!isNear(value, count)) return finding('payload', `place ${participant} of the sum is ${value}`)
  if (count > 1) return finding('twice', `counts ${count} times`)
  if (count < 0) return finding('payload', `counts ${count} times`)
  const digests = committed.filter((one) => one.participant === participant).map(({ digest }) => digest)
  if (digests.length !== count)
    return finding('record', `counts ${count} times, committed are ${digests.length}`)
  const [digest] = digests
  const problem = problemWith(entry, digest)
  return problem ? finding(...problem) : []
}

/** @param counted the digest that counts, if one does */
function problemWith(
  { sent, acknowledged, refused, owed }: Entry,
  counted: string | undefined,
): [Finding['kind'], string] | undefined {
  const [first, second] = acknowledged
  if (second !== undefined) return ['otherBytes', `${[...acknowledged].join(' and ')} were both acknowledged`]
  if (counted === undefined) {
    if (first !== undefined) return ['lost', `${first} was acknowledged and does not count`]
    return owed ? ['lost', 'nothing counts of what was acknowledged'] : undefined
  }
  if (first !== undefined && first !== counted) {
    return ['otherBytes', `${first} was acknowledged and ${counted} counts`]
  }
  if (!sent.has(counted)) return ['notSent', `${counted} counts and was never sent`]
  if (refused.has(counted)) return ['refusedYetCounted', `${counted} was refused for good and counts`]
  return undefined
}

function judgePayload(
  participants: number,
  { sum, committed }: Merged,
  vectorOf: (participant: number, digest: string) => Float32Array,
): Finding[] {
  const wanted = new Array<number>(sum.length).fill(0)
  for (const { participant, digest } of committed) {
    vectorOf(participant, digest).forEach((value, at) => (wanted[at] = (wanted[at] ?? 0) + value))
  }
  const wrong = wanted.findIndex((value, at) => !isNear(sum[at] ?? Number.NaN, value))
  if (wrong < 0) return []
  const part = wrong < participants ? 'count' : 'payload'
  return [{ kind: 'payload', detail: `${part} at place ${wrong}: ${sum[wrong]}, wanted ${wanted[wrong]}` }]
}

function isNear(value: number, integer: number): boolean {
  return Math.abs(value - integer) < TOLERANCE
}
