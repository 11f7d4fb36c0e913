import { describe, expect, it } from 'vitest'
import { defaultTopology, nodeLabels, nodeTaints, topologyFault, type Topology } from './topology.ts'

const cloud = { name: 'cloud-1', role: 'cloud' } as const
const edge = { name: 'edge-a1', role: 'edge', zone: 'zone-a' } as const

describe('the default topology', () => {
  it('is sound', () => {
    expect(topologyFault(defaultTopology)).toBeUndefined()
  })

  it('has two zones with two edge nodes each, beside the cloud', () => {
    const zones = Object.groupBy(defaultTopology.nodes, (node) => node.zone ?? 'cloud')
    expect(Object.entries(zones).map(([zone, nodes]) => [zone, nodes?.length])).toEqual([
      ['cloud', 1],
      ['zone-a', 2],
      ['zone-b', 2],
    ])
  })
})

describe('a node', () => {
  it('of the edge carries the role, its zone and the taint that keeps other pods away', () => {
    expect(nodeLabels(edge)).toMatchObject({
      'node-role.kubernetes.io/edge': '',
      'topology.kubernetes.io/zone': 'zone-a',
    })
    expect(nodeTaints(edge)).toEqual([{ key: 'node-role.kubernetes.io/edge', effect: 'NoSchedule' }])
  })

  it('of the cloud takes any pod and is in no zone', () => {
    expect(nodeTaints(cloud)).toEqual([])
    expect(nodeLabels(cloud)).not.toHaveProperty(['topology.kubernetes.io/zone'])
  })
})

describe('topologyFault', () => {
  const nodes = (...list: Topology['nodes']): Topology => ({ nodes: list, nodeMonitorGraceSeconds: 20 })
  const many = Array.from({ length: 29 }, (_, index) => ({
    name: `node-${String(index)}`,
    role: 'cloud' as const,
  }))

  it.each([
    {
      name: 'a name that is there twice',
      topology: nodes(cloud, edge, edge),
      want: '"edge-a1" is there twice',
    },
    {
      name: 'a name in capitals',
      topology: nodes(cloud, { ...edge, name: 'Edge' }),
      want: '"Edge" is no node name',
    },
    {
      name: 'a name with a slash',
      topology: nodes(cloud, { ...edge, name: 'a/b' }),
      want: '"a/b" is no node name',
    },
    { name: 'more nodes than addresses', topology: nodes(...many), want: '29 are too many' },
    { name: 'no cloud node in front', topology: nodes(edge, cloud), want: 'first one must be a cloud node' },
    { name: 'no node at all', topology: nodes(), want: 'first one must be a cloud node' },
    { name: 'no patience', topology: { ...nodes(cloud), nodeMonitorGraceSeconds: 1 }, want: 'at least 10' },
  ])('names what is wrong with $name', ({ topology, want }) => {
    expect(topologyFault(topology)).toContain(want)
  })
})
