// kubectl against the API server of a test, with the kinds installed.
import { fileURLToPath } from 'node:url'
import type { ApiServer } from '#e2e/cluster/api-server.ts'
import { CommandFailed, run } from '#e2e/cluster/run.ts'
import { toolPath } from '#e2e/cluster/tools.ts'
import { waitFor } from '#e2e/cluster/wait.ts'
import { KINDS } from '../definition.ts'
import { GROUP } from '../names.ts'

export type Kubectl = (args: string[], input?: unknown) => Promise<string>

export function kubectlOf(server: ApiServer): Kubectl {
  return (args, input) =>
    run(toolPath('kubectl'), [`--kubeconfig=${server.kubeconfig}`, ...args], {
      ...(input === undefined ? {} : { input: JSON.stringify(input) }),
    })
}

/** What the API server said when it refused, or undefined when it accepted. */
export async function refusalOf(attempt: Promise<string>): Promise<string | undefined> {
  try {
    await attempt
    return undefined
  } catch (error) {
    if (error instanceof CommandFailed && error.exitCode !== null) return error.stderr
    throw error
  }
}

export async function installKinds(kubectl: Kubectl): Promise<void> {
  await kubectl([
    'apply',
    '--server-side',
    `--filename=${fileURLToPath(new URL('../yaml', import.meta.url))}`,
  ])
  const names = KINDS.map(({ plural }) => `customresourcedefinition/${plural}.${GROUP}`)
  // kubectl gives up on a definition that has no conditions yet.
  await waitFor({ what: 'the kinds established', timeoutMs: 60_000 }, () =>
    kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...names]),
  )
  // Established comes before the kinds are in discovery.
  await waitFor({ what: 'the kinds in discovery', timeoutMs: 60_000 }, async () => {
    const known = await kubectl(['api-resources', `--api-group=${GROUP}`, '--output=name', '--cached=false'])
    return KINDS.every(({ plural }) => known.includes(plural)) ? true : undefined
  })
}
