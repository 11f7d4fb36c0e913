import { describe, expect, it } from 'vitest'

import { membersWithout } from './members.ts'

const update = (participant: string, through?: string) => ({
  ...{ participant, digest: `sha256:${participant}`, samples: 2, steps: 3, loss: 0.5 },
  ...(through !== undefined && { through }),
})

const names = (updates: ReturnType<typeof update>[], ...counted: string[]) =>
  membersWithout(updates, new Set(counted)).map(({ node }) => node)

describe('the members that are offered', () => {
  it('are all committed ones at first, with what stands behind them', () => {
    expect(membersWithout([update('a')], new Set())).toEqual([
      { node: 'a', digest: 'sha256:a', samples: 2, steps: 3, loss: 0.5 },
    ])
  })

  it('are those that do not count already', () => {
    expect(names([update('a'), update('b'), update('c')], 'b')).toEqual(['a', 'c'])
  })

  it('never hold a part of a sum from below', () => {
    const all = [update('a', 'dock/1'), update('b', 'dock/1'), update('c', 'quay/1'), update('d')]
    expect(names(all, 'a')).toEqual(['c', 'd'])
    expect(names(all, 'd')).toEqual(['a', 'b', 'c'])
  })
})
