/*
 * Handwritten digits, split as they would be between people with different habits: of each digit, the nodes hold
 * shares drawn from a Dirichlet distribution with all parameters 0.5, so that some nodes hardly know some digits.
 * 1,000 of the 5,000 digits are held out first; every other digit lies on exactly one node.
 */
import { join } from 'node:path'

import { Random } from '#federation/training/random.ts'

import {
  checkNodes,
  prepareFromCommandLine,
  type PreparedData,
  type PrepareRequest,
  readLines,
  shuffled,
  writePrepared,
} from '../prepared.ts'

const PIXELS = 28 * 28
const CLASSES = 10
const BRIGHTEST = 255
const TEST_ROWS = 1000
const FEWEST_ROWS = 100
const MOST_NODES = 10
const SPLIT_STREAM = 101

interface Digit {
  readonly label: number
  readonly row: string
}

export function prepare(request: PrepareRequest): PreparedData {
  const { nodes } = request
  checkNodes(nodes)
  if (nodes.length < 1 || nodes.length > MOST_NODES) {
    throw new RangeError(`${nodes.length} nodes: expected 1 to ${MOST_NODES} for 5,000 digits`)
  }
  const random = new Random(request.seed, SPLIT_STREAM)
  const digits = shuffled(readDigits(), random)
  const parts = splitByLabel(digits.slice(TEST_ROWS), nodes.length, random)

  const header = [...Array.from({ length: PIXELS }, (_, index) => `pixel${index}`), 'label'].join(',')
  return writePrepared(request, header, {
    test: digits.slice(0, TEST_ROWS).map(({ row }) => row),
    nodes: parts.map((part) => shuffled(part, random).map(({ row }) => row)),
  })
}

/** Pixels from 0 (paper) to 1 (ink), three decimals: one grey level is 0.004. */
function readDigits(): Digit[] {
  const texts = Array.from({ length: BRIGHTEST + 1 }, (_, grey) =>
    String(Number((grey / BRIGHTEST).toFixed(3))),
  )
  const lines = readLines(join(import.meta.dirname, 'data/mnist_5k.csv.gz'), 'no header')
  return lines.map((line) => {
    const cells = line.split(',')
    const label = cells.pop() ?? ''
    return { label: Number(label), row: [...cells.map((grey) => texts[Number(grey)]), label].join(',') }
  })
}

/** Draws again when a node would get next to nothing. */
function splitByLabel(digits: readonly Digit[], nodes: number, random: Random): Digit[][] {
  for (;;) {
    const parts = Array.from({ length: nodes }, (): Digit[] => [])
    for (let label = 0; label < CLASSES; label++) {
      const shares = dirichlet(nodes, random)
      const own = digits.filter((digit) => digit.label === label)
      for (const digit of own) parts[pick(shares, random)]?.push(digit)
    }
    if (parts.every((part) => part.length >= FEWEST_ROWS)) return parts
  }
}

/** Gamma variables of shape 0.5 are halves of squared normal ones; their shares are Dirichlet(0.5, …, 0.5). */
function dirichlet(count: number, random: Random): number[] {
  const weights = Array.from({ length: count }, () => normal(random) ** 2)
  const sum = weights.reduce((total, weight) => total + weight, 0)
  return weights.map((weight) => weight / sum)
}

/** A standard normal number (Box and Muller, 1958). */
export function normal(random: Random): number {
  const [a, b] = [uniform(random), uniform(random)]
  return Math.sqrt(-2 * Math.log(1 - a)) * Math.cos(2 * Math.PI * b)
}

function uniform(random: Random): number {
  return random.uint32() / 2 ** 32
}

function pick(shares: readonly number[], random: Random): number {
  let left = uniform(random)
  const index = shares.findIndex((share) => (left -= share) < 0)
  return index < 0 ? shares.length - 1 : index
}

if (import.meta.main) prepareFromCommandLine(prepare)
