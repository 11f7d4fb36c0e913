import { describe, expect, it } from 'vitest'
import { architectureOf, nodeArchitectureOf } from './platform.ts'

describe('platforms', () => {
  it.each(['x64', 'arm64'] as const)('translate there and back for %s', (name) => {
    expect(nodeArchitectureOf(architectureOf(name))).toBe(name)
  })

  it('are refused by name when images are not built for them', () => {
    expect(() => architectureOf('ppc64')).toThrow('"ppc64"')
  })
})
