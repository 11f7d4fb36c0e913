import { describe, expect, it } from 'vitest'
import { parseHierarchies } from './cgroups.ts'

const first = [
  '30 29 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu',
  '31 29 0:28 / /sys/fs/cgroup/cpuset rw,relatime shared:9 - cgroup cgroup rw,cpuset',
]
const second = '40 29 0:40 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate'
const other = '41 29 0:41 / /proc rw - proc proc rw'

describe('parseHierarchies', () => {
  it('finds each hierarchy of version 1 with its controllers', () => {
    const found = parseHierarchies([...first, other, ''].join('\n'))
    expect(found.map(({ folder, version }) => [folder, version])).toEqual([
      ['/sys/fs/cgroup/cpu', 1],
      ['/sys/fs/cgroup/cpuset', 1],
    ])
    expect(found[1]?.controllers).toContain('cpuset')
  })

  it('takes version 2 where it is alone, and leaves it out where containers use version 1', () => {
    expect(parseHierarchies([second, other].join('\n'))).toMatchObject([
      { folder: '/sys/fs/cgroup', version: 2 },
    ])
    expect(parseHierarchies([second, ...first].join('\n')).map(({ version }) => version)).toEqual([1, 1])
  })
})
