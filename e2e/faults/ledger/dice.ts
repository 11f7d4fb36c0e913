/*
 * Chance that can be had again: the same seed gives the same throws. A storm forks a generator for each of those who act in it,
 * so that what one of them draws does not depend on when the others do.
 */
import { createHash } from 'node:crypto'

export class Dice {
  readonly #seed: string
  #thrown = 0

  constructor(seed: string) {
    this.#seed = seed
  }

  /** A generator of its own for whoever is called so. */
  fork(name: string): Dice {
    return new Dice(`${this.#seed}/${name}`)
  }

  /** Uniform in [0, 1). */
  readonly uniform = (): number => {
    const hash = createHash('sha256').update(`${this.#seed}#${this.#thrown++}`).digest()
    return hash.readUInt32LE() / 2 ** 32
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + this.uniform() * (high - low)
  }

  /** One of low, …, high. */
  integer(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1))
  }

  chance(probability: number): boolean {
    return this.uniform() < probability
  }

  /** A choice by weight; the weights need not sum to 1. */
  pick<Choice extends string>(weights: Readonly<Record<Choice, number>>): Choice {
    const entries = Object.entries(weights) as [Choice, number][]
    let left = this.uniform() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    const chosen = entries.find(([, weight]) => (left -= weight) < 0) ?? entries.at(-1)
    if (!chosen) throw new Error('there is nothing to choose from')
    return chosen[0]
  }
}
