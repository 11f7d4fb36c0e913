import { describe, expect, it } from 'vitest'
import { addressBlock, blockCount, leadsInto, nodeAddress, podRange } from './addresses.ts'
import { mostNodes } from './topology.ts'

const blocks = Array.from({ length: blockCount }, (_, index) => addressBlock(index))
const first = blocks[0]!

describe('address blocks', () => {
  it('give every node of every cluster an address and a pod range of its own, inside the block', () => {
    const addresses = blocks.flatMap((block) =>
      Array.from({ length: mostNodes }, (_, node) => [nodeAddress(block, node), podRange(block, node)]),
    )
    const all = addresses.flat()
    expect(new Set(all).size).toBe(all.length)
    for (const [index, range] of all.entries()) {
      const block = blocks[Math.floor(index / (2 * mostNodes))]!
      expect([range, leadsInto(range, block)]).toEqual([range, true])
    }
  })

  it('keep the services apart from nodes and pods', () => {
    const ranges = Array.from({ length: mostNodes }, (_, node) => podRange(first, node))
    const overlapping = ranges.filter((range) => leadsInto(range, { ...first, range: first.services }))
    expect(overlapping).toEqual([])
    expect(leadsInto(first.kubernetesService, { ...first, range: first.services })).toBe(true)
  })

  it.each([-1, blockCount, 0.5])('do not exist with number %d', (index) => {
    expect(() => addressBlock(index)).toThrow(/blocks 0 to 15/)
  })
})

describe('leadsInto', () => {
  it.each([
    { name: 'the block itself', route: '10.89.0.0/20', want: true },
    { name: 'one address of it', route: '10.89.15.255', want: true },
    { name: 'a range around it that someone uses', route: '10.89.0.0/16', want: true },
    { name: 'the block after it', route: '10.89.16.0/20', want: false },
    { name: 'another network', route: '192.168.0.0/16', want: false },
    { name: 'a wide route to some gateway', route: '10.0.0.0/8', want: false },
  ])('is $want for $name', ({ route, want }) => {
    expect(leadsInto(route, first)).toBe(want)
  })
})
