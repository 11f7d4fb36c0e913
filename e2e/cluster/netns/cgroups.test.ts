import { describe, expect, it } from 'vitest'
import { hierarchiesInUse, parseHierarchies } from './cgroups.ts'

const first = [
  '30 29 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu',
  '31 29 0:28 / /sys/fs/cgroup/cpuset rw,relatime shared:9 - cgroup cgroup rw,cpuset',
]
const second = '40 29 0:40 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate'
const other = '41 29 0:41 / /proc rw - proc proc rw'

describe('parseHierarchies', () => {
  it('finds each hierarchy with its controllers, and no other mount', () => {
    const found = parseHierarchies([...first, second, other, ''].join('\n'))
    expect(found.map(({ folder, version }) => [folder, version])).toEqual([
      ['/sys/fs/cgroup/cpu', 1],
      ['/sys/fs/cgroup/cpuset', 1],
      ['/sys/fs/cgroup/unified', 2],
    ])
    expect(found[1]?.controllers).toContain('cpuset')
  })
})

describe('hierarchiesInUse', () => {
  it.each([
    { name: 'version 2 where it is alone', mounts: [second], want: [2] },
    { name: 'version 1 alone where there are both', mounts: [second, ...first], want: [1, 1] },
  ])('is $name', ({ mounts, want }) => {
    const found = hierarchiesInUse(parseHierarchies(mounts.join('\n')))
    expect(found.map(({ version }) => version)).toEqual(want)
  })
})
