import { describe, expect, it } from 'vitest'
import { addressBlock } from '../addresses.ts'
import { checkoutDigest } from '../paths.ts'
import { defaultTopology } from '../topology.ts'
import { netnsLayout, nodeLayouts, nodeLocalPath } from './layout.ts'

const layout = netnsLayout('default')
const nodes = nodeLayouts(layout, defaultTopology.nodes, addressBlock(3))

describe('the names of a cluster', () => {
  it('differ between checkouts and between clusters of one checkout', () => {
    const digests = [checkoutDigest('a', '/one'), checkoutDigest('a', '/two'), checkoutDigest('b', '/one')]
    expect(new Set(digests).size).toBe(3)
  })

  it("fit into the kernel's fifteen characters for an interface", () => {
    const names = [layout.bridge, `${layout.cablePrefix}27`]
    expect(names.filter((name) => name.length > 15)).toEqual([])
  })

  it('give each node a namespace, a cable, a control group and an address of its own', () => {
    for (const key of ['netns', 'cable', 'cgroup', 'address', 'podRange', 'privateRoot'] as const) {
      expect([key, new Set(nodes.map((node) => node[key])).size]).toEqual([key, nodes.length])
    }
  })
})

describe('nodeLocalPath', () => {
  const node = nodes[1]!

  it.each(['/srv/tributary/data', '/var/lib/tributary', '/run/x/../y'])(
    'finds %s below the node',
    (folder) => {
      expect(nodeLocalPath(node, folder).startsWith(`${node.privateRoot}/`)).toBe(true)
    },
  )

  it.each(['/etc', '/srv', '/srv/../etc/passwd', 'srv/x', '/variable/x'])(
    'refuses %s, which nodes share',
    (folder) => {
      expect(() => nodeLocalPath(node, folder)).toThrow(`folder "${folder}"`)
    },
  )
})
