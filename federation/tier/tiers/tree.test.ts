import { describe, expect, it } from 'vitest'
import { checkCampaignPlan } from '../plans.ts'
import { campaignPlan, tierNode } from '../testing/plans.ts'
import { TierTree, treeOf, withNewestEpochs } from './tree.ts'

const round = campaignPlan().round!
const training = campaignPlan().training!

describe('the tiers of a plan', () => {
  const east = tierNode('east', ['a', 'b'])
  const west = tierNode('west', ['c'])
  const inner = { ...tierNode('inner', ['d']), parent: 'east', deadlineSeconds: 10 }

  it.each([
    { what: 'two beside each other', tiers: [east, west] },
    { what: 'one below another', tiers: [inner, east] },
    { what: 'one without nodes of its own', tiers: [{ ...east, nodes: [] }, inner] },
  ])('may be $what', ({ tiers }) => {
    expect(checkCampaignPlan(campaignPlan({ tiers })).tiers).toEqual(tiers)
  })

  it.each([
    { tiers: [east, { ...west, name: 'east' }], says: 'tiers.1.name: east is there twice' },
    { tiers: [{ ...west, parent: 'north' }], says: 'tiers.0.parent: there is no tier north' },
    { tiers: [{ ...east, parent: 'east' }], says: 'tiers.0.parent: east would be below itself' },
    {
      tiers: [
        { ...east, parent: 'west' },
        { ...west, parent: 'east' },
      ],
      says: 'tiers.0.parent: east would be below itself',
    },
    { tiers: [east, { ...west, nodes: ['b'] }], says: 'tiers.1.nodes: b is in east, too' },
    { tiers: [{ ...east, nodes: ['a', 'a'] }], says: 'tiers.0.nodes: a is in east, too' },
    { tiers: [east, { ...west, pod: east.pod }], says: 'tiers.1.pod: pod-of-east-1 speaks for two tiers' },
    { tiers: [{ ...east, minimumUpdates: 3 }], says: 'minimumUpdates: is 3; 2 nodes belong to east' },
    {
      tiers: [{ ...east, deadlineSeconds: 61 }],
      says: "deadlineSeconds: is 61; it lies inside the round's, 60",
    },
    { tiers: [east, { ...inner, deadlineSeconds: 31 }], says: 'is 31; it lies inside that of east, 30' },
    { tiers: [{ ...east, epoch: 0 }], says: 'tiers.0.epoch' },
    { tiers: [{ ...east, name: '..' }], says: 'tiers.0.name' },
    { tiers: [{ ...east, name: 'a/b' }], says: 'tiers.0.name' },
  ])('are refused: $says', ({ tiers, says }) => {
    expect(() => checkCampaignPlan(campaignPlan({ tiers }))).toThrow(says)
  })

  it('are refused with a strategy that merges each update by itself, by its name', () => {
    const plan = campaignPlan({
      tiers: [east],
      round: { ...round, minimumUpdates: 2 },
      training: { ...training, strategy: '{"type":"Median"}' },
    })
    expect(() => checkCampaignPlan(plan)).toThrow(
      'tiers: Median merges each update by itself: it allows no tiers',
    )
  })

  it('keep the later controller when an older plan comes after a newer one', () => {
    const newer = { ...east, epoch: 2, pod: 'pod-of-east-2', node: 'b' }
    expect(withNewestEpochs([newer], [east, west])).toEqual([newer, west])
    expect(withNewestEpochs([east], [newer])).toEqual([newer])
  })
})

describe('the tree of tiers', () => {
  const tiers = [
    { ...tierNode('city', ['a']), parent: '' },
    { ...tierNode('east', ['b', 'c']), parent: 'city' },
    { ...tierNode('dock', ['d']), parent: 'east' },
    { ...tierNode('west', ['e']), parent: '' },
  ]
  const tree = new TierTree(tiers)

  it.each([
    { node: 'a', own: 'city', way: ['city'] },
    { node: 'c', own: 'east', way: ['city', 'east'] },
    { node: 'd', own: 'dock', way: ['city', 'east', 'dock'] },
    { node: 'e', own: 'west', way: ['west'] },
    { node: 'f', own: undefined, way: [] },
  ])('has $node in $own, by way of $way', ({ node, own, way }) => {
    expect(tree.tierOf(node)?.name).toBe(own)
    expect(tree.wayTo(node).map(({ name }) => name)).toEqual(way)
  })

  it('knows what is above a tier', () => {
    expect(tree.above('dock').map(({ name }) => name)).toEqual(['city', 'east'])
    expect(tree.above('west')).toEqual([])
  })

  it.each([
    { tier: 'city', members: ['a', 'b', 'c', 'd'], below: ['east <- ', 'dock <- east'] },
    { tier: 'east', members: ['b', 'c', 'd'], below: ['dock <- '] },
    { tier: 'dock', members: ['d'], below: [] },
    { tier: 'none', members: [], below: [] },
  ])('knows what is below $tier, as it sees it', ({ tier, members, below }) => {
    expect([...tree.members(tier)].sort()).toEqual(members)
    expect(tree.below(tier).map(({ name, parent }) => `${name} <- ${parent}`)).toEqual(below)
  })

  it('is made once for a plan', () => {
    const plan = { tiers }
    expect(treeOf(plan)).toBe(treeOf(plan))
    expect(treeOf(plan).tier('dock')?.parent).toBe('east')
  })
})
