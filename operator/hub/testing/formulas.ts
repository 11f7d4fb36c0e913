// For tests: every strategy by the formula of its paper, element by element in float64 and in the space of the updates: no
// inner products, no slices, nothing of the engine. Sources stand in the strategies' own files (federation/aggregation).
import type { Configured, StrategyConfiguration } from '#federation/aggregation/configuration.ts'

type Vector = readonly number[]

/** What one participant sent in a round. */
export interface Sent {
  readonly change: Vector
  /** SCAFFOLD's section. */
  readonly control: Vector
  readonly samples: number
  readonly steps: number
  readonly initialLoss: number
}

export interface FormulaContext {
  /** From 1. */
  readonly round: number
  readonly learningRate: number
}

/** The parameters after a round; remembers the server's state from round to round. */
export type Formula = (parameters: Vector, sent: readonly Sent[], context: FormulaContext) => Vector

const zip = (a: Vector, b: Vector, f: (x: number, y: number) => number): Vector =>
  a.map((value, index) => f(value, b[index] ?? NaN))
const plus = (a: Vector, b: Vector): Vector => zip(a, b, (x, y) => x + y)
const minus = (a: Vector, b: Vector): Vector => zip(a, b, (x, y) => x - y)
const times = (factor: number, a: Vector): Vector => a.map((value) => factor * value)
const total = (vectors: readonly Vector[]): Vector => vectors.reduce(plus)
const meanOf = (vectors: readonly Vector[]): Vector => times(1 / vectors.length, total(vectors))
const squaredNorm = (a: Vector): number => a.reduce((sum, value) => sum + value * value, 0)
const sum = (values: Vector): number => values.reduce((all, value) => all + value, 0)
const changes = (sent: readonly Sent[]): readonly Vector[] => sent.map(({ change }) => change)

const bySamples = (sent: readonly Sent[]): Vector => {
  const samples = sum(sent.map((one) => one.samples))
  return total(sent.map((one) => times(one.samples / samples, one.change)))
}

const stateless = (aggregate: (sent: readonly Sent[], context: FormulaContext) => Vector) => (): Formula => {
  return (parameters, sent, context) => plus(parameters, aggregate(sent, context))
}

/** Each value by itself. */
const coordinates = (choose: (sorted: Vector) => number) =>
  stateless((sent) => {
    const [first = []] = changes(sent)
    return first.map((_, at) =>
      choose(
        changes(sent)
          .map((change) => change[at] ?? NaN)
          .sort((a, b) => a - b),
      ),
    )
  })

type Moments = readonly [Vector, Vector]

const adaptive =
  (step: (moments: Moments, delta: Vector, round: number) => { moments: Moments; move: Vector }) =>
  (): Formula => {
    let moments: Moments | undefined
    return (parameters, sent, { round }) => {
      const delta = bySamples(sent)
      const zeros = times(0, delta)
      const { moments: after, move } = step(moments ?? [zeros, zeros], delta, round)
      moments = after
      return plus(parameters, move)
    }
  }

const quotient = (rate: number, m: Vector, v: Vector, tau: number): Vector =>
  zip(m, v, (first, second) => (rate * first) / (Math.sqrt(second) + tau))
const blend = (beta: number, old: Vector, now: Vector): Vector =>
  zip(old, now, (x, y) => beta * x + (1 - beta) * y)

/** The `count` of these nearest to `own`, of which it may be one itself. */
function nearest(own: Vector, among: readonly Vector[], count: number): readonly Vector[] {
  const distance = (other: Vector): number => squaredNorm(minus(own, other))
  return among.toSorted((a, b) => distance(a) - distance(b)).slice(0, count)
}

function byKrumScore(vectors: readonly Vector[], byzantine: number): readonly Vector[] {
  const scoreOf = (own: Vector): number => {
    const others = vectors.filter((other) => other !== own)
    const near = nearest(own, others, Math.max(1, vectors.length - byzantine - 2))
    return sum(near.map((other) => squaredNorm(minus(own, other))))
  }
  return vectors.toSorted((a, b) => scoreOf(a) - scoreOf(b))
}

const krum = (byzantine: number, selected: number) =>
  stateless((sent) => meanOf(byKrumScore(changes(sent), byzantine).slice(0, selected)))

const bulyan = (byzantine: number) =>
  stateless((sent) => {
    const picked: Vector[] = []
    while (picked.length < sent.length - 2 * byzantine) {
      const left = changes(sent).filter((change) => !picked.includes(change))
      picked.push(...byKrumScore(left, byzantine).slice(0, 1))
    }
    const [first = []] = picked
    return first.map((_, at) => {
      const values = picked.map((change) => change[at] ?? NaN).sort((a, b) => a - b)
      const median = values[(values.length - 1) / 2] ?? NaN
      const near = values.toSorted((a, b) => Math.abs(a - median) - Math.abs(b - median))
      const count = sent.length - 4 * byzantine
      return sum(near.slice(0, count)) / count
    })
  })

const geometricMedian = ({ maxIterations, tolerance }: Configured<'GeometricMedian'>) =>
  stateless((sent) => {
    let point: Vector = (sent[0]?.change ?? []).map(() => 0)
    let before = Infinity
    for (let iteration = 0; iteration < maxIterations; iteration++) {
      const distances = changes(sent).map((change) =>
        Math.max(1e-6, Math.sqrt(squaredNorm(minus(change, point)))),
      )
      if (iteration > 0 && before - sum(distances) <= tolerance * before) break
      before = sum(distances)
      const weights = distances.map((distance) => 1 / distance)
      const all = sum(weights)
      point = total(changes(sent).map((change, index) => times((weights[index] ?? NaN) / all, change)))
    }
    return point
  })

const normClipping = ({ byzantine, maximumNorm }: Configured<'NormClipping'>) =>
  stateless((sent) => {
    const n = sent.length
    const mixed = changes(sent).map((own) => meanOf(nearest(own, changes(sent), n - byzantine)))
    const norms = mixed.map((vector) => Math.sqrt(squaredNorm(vector)))
    const longest = Math.floor((2 * byzantine * (n - byzantine)) / n)
    const limit = maximumNorm ?? norms.toSorted((a, b) => a - b)[n - longest - 1] ?? NaN
    return meanOf(mixed.map((vector, index) => times(Math.min(1, limit / (norms[index] ?? NaN)), vector)))
  })

const scaffold = (rate: number) => stateless((sent) => times(rate, meanOf(changes(sent))))

const fedDyn = (alpha: number) => (): Formula => {
  let h: Vector | undefined
  return (parameters, sent) => {
    const mean = meanOf(changes(sent))
    h = plus(h ?? times(0, mean), times(-alpha, mean))
    return plus(parameters, minus(mean, times(1 / alpha, h)))
  }
}

const qFedAvg = (q: number) =>
  stateless((sent, { learningRate }) => {
    const lipschitz = 1 / learningRate
    const h = sent.map(({ change, initialLoss }) => {
      return q * initialLoss ** (q - 1) * squaredNorm(times(lipschitz, change)) + lipschitz * initialLoss ** q
    })
    const steps = sent.map(({ change, initialLoss }) => times(lipschitz * initialLoss ** q, change))
    return times(1 / sum(h), total(steps))
  })

const fedNova = stateless((sent) => {
  const samples = sum(sent.map((one) => one.samples))
  const effective = sum(sent.map((one) => (one.samples / samples) * one.steps))
  const directions = sent.map((one) => times(one.samples / samples / one.steps, one.change))
  return times(effective, total(directions))
})

const fedAvgM = ({ serverLearningRate, serverMomentum }: Configured<'FedAvgM'>) =>
  adaptive(([m, v], delta) => {
    const momentum = plus(times(serverMomentum, m), delta)
    return { moments: [momentum, v], move: times(serverLearningRate, momentum) }
  })

const fedAdagrad = ({ serverLearningRate, tau }: Configured<'FedAdagrad'>) =>
  adaptive(([m, v], delta) => {
    const second = zip(v, delta, (old, now) => old + now * now)
    return { moments: [m, second], move: quotient(serverLearningRate, delta, second, tau) }
  })

const fedAdam = ({ serverLearningRate, beta1, beta2, tau }: Configured<'FedAdam'>) =>
  adaptive(([m, v], delta, round) => {
    const first = blend(beta1, m, delta)
    const second = blend(
      beta2,
      v,
      delta.map((value) => value * value),
    )
    const rate = (serverLearningRate * Math.sqrt(1 - beta2 ** (round + 1))) / (1 - beta1 ** (round + 1))
    return { moments: [first, second], move: quotient(rate, first, second, tau) }
  })

const fedYogi = ({ serverLearningRate, beta1, beta2, tau }: Configured<'FedYogi'>) =>
  adaptive(([m, v], delta) => {
    const first = blend(beta1, m, delta)
    const second = zip(v, delta, (old, now) => old - (1 - beta2) * now * now * Math.sign(old - now * now))
    return { moments: [first, second], move: quotient(serverLearningRate, first, second, tau) }
  })

type Definitions = { [Type in StrategyConfiguration['type']]: (of: Configured<Type>) => () => Formula }

/** FedBuff merges by arrival and not by round: it has tests of its own. */
const DEFINITIONS: Omit<Definitions, 'FedBuff'> = {
  FedAvg: () => stateless(bySamples),
  FedProx: () => stateless(bySamples),
  FedAvgM: fedAvgM,
  FedAdagrad: fedAdagrad,
  FedAdam: fedAdam,
  FedYogi: fedYogi,
  Scaffold: ({ serverLearningRate }) => scaffold(serverLearningRate),
  FedNova: () => fedNova,
  QFedAvg: ({ q }) => qFedAvg(q),
  FedDyn: ({ alpha }) => fedDyn(alpha),
  Median: () => coordinates((sorted) => sorted[(sorted.length - 1) / 2] ?? NaN),
  TrimmedMean: ({ trimmed }) =>
    coordinates(
      (sorted) => sum(sorted.slice(trimmed, sorted.length - trimmed)) / (sorted.length - 2 * trimmed),
    ),
  Krum: ({ byzantine }) => krum(byzantine, 1),
  MultiKrum: ({ byzantine, selected }) => krum(byzantine, selected),
  Bulyan: ({ byzantine }) => bulyan(byzantine),
  GeometricMedian: geometricMedian,
  NormClipping: normClipping,
}

/** Of an odd number of participants. */
export function formulaOf(configuration: StrategyConfiguration): Formula {
  if (configuration.type === 'FedBuff') throw new Error('FedBuff has no formula of a round')
  const define = DEFINITIONS[configuration.type] as (of: StrategyConfiguration) => () => Formula
  return define(configuration)()
}
