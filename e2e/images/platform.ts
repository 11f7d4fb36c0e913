// The platform of images and packages, in each party's own words.

export type Architecture = 'amd64' | 'arm64'

const fromNode: Readonly<Record<string, Architecture>> = { x64: 'amd64', arm64: 'arm64' }

export function architectureOf(nodeArchitecture: string): Architecture {
  const architecture = fromNode[nodeArchitecture]
  if (architecture === undefined) {
    throw new Error(`processor architecture "${nodeArchitecture}": images are built for x64 and arm64 only`)
  }
  return architecture
}

export function nodeArchitectureOf(architecture: Architecture): 'x64' | 'arm64' {
  return architecture === 'amd64' ? 'x64' : 'arm64'
}
