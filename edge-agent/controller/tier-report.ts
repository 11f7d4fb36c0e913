// What an edge controller tells its parent: how its round stands, at most once a second; and what its training pods said of their
// evaluation or why they cannot train, each thing once a stream. A repeat changes nothing, so after a break all is said again.
import type { Campaign } from '#federation/tier/rounds/campaign.ts'
import { campaignState } from '#federation/tier/rounds/report.ts'
import type { Round } from '#federation/tier/rounds/round.ts'
import { hindrance } from '#federation/tier/rounds/shortage.ts'
import { toTierError } from '#federation/tier/serving/errors.ts'
import type { AggregatorMessage, TierReport } from '#federation/wire/generated/tributary.ts'

const SHORTEST_MS = 1_000

export interface Problem {
  readonly reason: string
  readonly message: string
}

export function tierReport(campaign: Campaign, problem: Problem | undefined): TierReport {
  const { current } = campaign
  const { reason = '', message = '' } = hindrance(campaign) ?? problem ?? {}
  return {
    round: current?.number ?? 0,
    attempt: current?.attempt.attempt ?? 0,
    participants: campaignState(campaign, undefined).participants,
    problemReason: reason,
    problemMessage: message,
  }
}

/** What is said before there is a plan to go by. */
export function reportWithoutPlan({ reason, message }: Problem): AggregatorMessage {
  const nothing = { round: 0, attempt: 0, participants: [] }
  return { kind: { $case: 'report', value: { ...nothing, problemReason: reason, problemMessage: message } } }
}

/** Why a plan is not followed. @param tier whose plan it is */
export function problemOf(error: unknown, tier: string): Problem {
  const { kind, reason, message } = toTierError(error, tier)
  return kind === 'diskFull' ? { reason, message } : { reason: 'PlanNotFollowed', message: String(error) }
}

/** What pods said in a round that the tier above should know, each with a key that names it. */
export function saidByPods(round: Round): [key: string, message: AggregatorMessage][] {
  const { number, result } = round
  const evaluations = [...round.evaluations.values()].map(({ participant: node, samples, metrics }) => {
    const parametersDigest = result?.parameters.digest ?? ''
    const value = { node, result: { round: number, parametersDigest, samples, metrics } }
    const message: AggregatorMessage = { kind: { $case: 'evaluation', value } }
    return [`${number}/${node}/evaluation`, message] as [string, AggregatorMessage]
  })
  const failures = [...round.failures.values()].map(({ participant: node, reason, message, ...failure }) => {
    const value = { node, failure: { round: number, reason, message } }
    const said: AggregatorMessage = { kind: { $case: 'failure', value } }
    return [`${number}/${node}/${failure.during}/${failure.attempt}`, said] as [string, AggregatorMessage]
  })
  return [...evaluations, ...failures]
}

export class Reporter {
  readonly #campaign: Campaign
  readonly #problem: () => Problem | undefined
  readonly #stopObserving: () => void
  #send: ((message: AggregatorMessage) => void) | undefined
  readonly #said = new Set<string>()
  #reported = ''
  #resting: NodeJS.Timeout | undefined
  #due = false

  constructor(campaign: Campaign, problem: () => Problem | undefined) {
    this.#campaign = campaign
    this.#problem = problem
    this.#stopObserving = campaign.observe(() => this.#look())
  }

  /** From now on everything goes to this stream, which knows nothing yet. */
  speakThrough(send: (message: AggregatorMessage) => void): void {
    this.#send = send
    this.#said.clear()
    this.#reported = ''
    this.#look()
  }

  stop(): void {
    this.#stopObserving()
    clearTimeout(this.#resting)
    this.#send = undefined
  }

  #look(): void {
    if (this.#resting) {
      this.#due = true
      return
    }
    this.#due = false
    this.#resting = setTimeout(() => {
      this.#resting = undefined
      if (this.#due) this.#look()
    }, SHORTEST_MS)
    this.#say()
  }

  #say(): void {
    const send = this.#send
    if (!send) return
    const value = tierReport(this.#campaign, this.#problem())
    const text = JSON.stringify(value)
    if (text !== this.#reported) send({ kind: { $case: 'report', value } })
    this.#reported = text
    for (const round of [...this.#campaign.rounds.values()].slice(-2)) {
      for (const [key, message] of saidByPods(round)) {
        if (!this.#said.has(key)) send(message)
        this.#said.add(key)
      }
    }
  }
}
