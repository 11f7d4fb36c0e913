import { describe, expect, it } from 'vitest'
import { aNode, aProfile, SECOND, T0 } from '#operator/testing/builders.ts'
import { decide, transitions } from './decide.ts'

describe('decide on a DeviceProfile', () => {
  it('counts the nodes that match and those that are Ready', () => {
    const nodes = [
      aNode('a'),
      aNode('b', { ready: 'Unknown' }),
      aNode('c', { unschedulable: true }),
      aNode('d', { labels: {} }),
    ]
    const { status } = decide({ now: T0, profile: aProfile(), nodes })
    expect(status).toMatchObject({ matchedNodes: 3, readyNodes: 1 })
    expect(status.conditions).toMatchObject([{ type: 'Ready', status: 'True', reason: 'NodesMatched' }])
  })

  it('says that no node matches, and tells it as a warning', () => {
    const { status } = decide({ now: T0, profile: aProfile(), nodes: [] })
    expect(status.conditions).toMatchObject([{ status: 'False', reason: 'NoNodesMatched' }])
    expect(transitions(undefined, status)).toMatchObject([{ type: 'Warning', reason: 'NoNodesMatched' }])
  })

  it('says the same again when nothing has changed', () => {
    const first = decide({ now: T0, profile: aProfile(), nodes: [aNode('a')] }).status
    const again = decide({
      now: T0 + 9 * SECOND,
      profile: aProfile({ status: first }),
      nodes: [aNode('a')],
    }).status
    expect(again).toEqual(first)
  })
})
