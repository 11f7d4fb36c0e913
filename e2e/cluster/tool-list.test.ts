import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { toolModulesFolder } from './paths.ts'
import { tools, type Tool } from './tool-list.ts'

const goMod = (module: string): Promise<string> =>
  readFile(path.join(toolModulesFolder, module, 'go.mod'), 'utf8')

describe('the tools', () => {
  it.each(Object.values<Tool>(tools).filter((tool) => tool.name !== 'pause'))(
    '$name is a tool of the go.mod that pins it',
    async (tool) => {
      const directives = (await goMod(tool.module))
        .split('\n')
        .map((line) => line.replace(/^tool /, '').trim())
      expect(directives).toContain(tool.package)
    },
  )

  it("take all of Kubernetes' modules from one release", async () => {
    const file = await goMod('kubernetes')
    const release = /k8s\.io\/kubernetes v1\.(\S+)/.exec(file)?.[1]
    const replaced = [...file.matchAll(/^\t(k8s\.io\/\S+) => (\S+) v0\.(\S+)$/gm)]
    expect(replaced.length).toBeGreaterThan(25)
    for (const [, from, to, version] of replaced) expect([to, version]).toEqual([from, release])
  })
})
