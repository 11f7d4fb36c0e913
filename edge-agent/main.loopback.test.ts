// Both commands as they run in a pod: processes that are killed at any moment and started again.
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { ServerDuplexStream } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import type { AgentReport, DesiredModels } from '#federation/wire/generated/tributary.ts'
import { blobPath, updatePath } from '#federation/wire/names.ts'
import { selfSignedCertificate } from '#federation/wire/testing/certificate.ts'
import { TestHub } from '#federation/wire/testing/test-hub.ts'

import { ScriptedCampaign, rowsAsCsv } from './testing/campaign.ts'
import { type EdgeProcess, PROGRAM, startEdgeProcess } from './testing/edge-process.ts'
import { KEYS, publish } from './testing/published.ts'

const CAMPAIGN = 'f0000000-0000-4000-8000-00000000000c'
const SLOW = 60_000

let folder: string
let processes: EdgeProcess[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge-'))
  processes = []
})
afterEach(async () => {
  for (const running of processes) await running.kill('SIGKILL')
  await rm(folder, { recursive: true })
})

describe('train', () => {
  let campaign: ScriptedCampaign
  beforeEach(async () => {
    campaign = await ScriptedCampaign.start()
    await writeFile(join(folder, 'rows.csv'), rowsAsCsv(40))
  })
  afterEach(() => {
    campaign.hub.close()
  })

  async function startPod(): Promise<EdgeProcess> {
    const dataset = { path: join(folder, 'rows.csv'), labelColumns: ['target', 'other'] }
    const environment = {
      TRIBUTARY_CAMPAIGN: CAMPAIGN,
      TRIBUTARY_NODE_NAME: 'edge-a',
      TRIBUTARY_DATASET: JSON.stringify(dataset),
    }
    const flags = ['train', '--data-folder', folder, '--work-folder', join(folder, 'work')]
    const pod = await startEdgeProcess(folder, flags, { hub: campaign.hub.endpoint, environment })
    processes.push(pod)
    return pod
  }

  const accepted = () => campaign.hub.uploads.get(updatePath(CAMPAIGN, 1, 'edge-a'))?.accepted === true

  it(
    'sends the update of a killed pod from the pod after it, and ends with status 0',
    async () => {
      campaign.assignTraining()
      campaign.hub.verdict = { status: 503, title: 'Busy', detail: 'not now' }
      const first = await startPod()
      await expect.poll(() => first.log(), { timeout: SLOW }).toContain('training finished')
      expect(await first.kill('SIGKILL')).toBe('SIGKILL')
      campaign.hub.verdict = undefined
      const second = await startPod()
      await expect.poll(accepted, { timeout: SLOW }).toBe(true)
      expect(second.log()).not.toContain('training finished')
      campaign.finish()
      expect(await second.exited).toBe(0)
    },
    2 * SLOW,
  )

  it(
    'trains with several threads, which start from the same program',
    async () => {
      campaign.hub.close()
      campaign = await ScriptedCampaign.start({ type: 'Plain' }, undefined, undefined, 3)
      expect(campaign.compiled.manifest.shards).toBe(3)
      campaign.assignTraining()
      const pod = await startPod()
      await expect.poll(accepted, { timeout: SLOW }).toBe(true)
      campaign.finish()
      expect(await pod.exited).toBe(0)
    },
    2 * SLOW,
  )

  it(
    'has its folder for itself, and leaves it to the next pod when it is killed',
    async () => {
      const first = await startPod()
      await expect.poll(() => campaign.said('hello').length, { timeout: SLOW }).toBe(1)
      const second = await startPod()
      await expect.poll(() => second.log(), { timeout: SLOW }).toContain('in use by another pod')
      expect(campaign.said('hello')).toHaveLength(1)
      await first.kill('SIGKILL')
      await expect.poll(() => campaign.said('hello').length, { timeout: SLOW }).toBe(2)
      campaign.finish()
      expect(await second.exited).toBe(0)
      expect(await readdir(join(folder, 'work'))).toEqual(['lock'])
    },
    2 * SLOW,
  )

  it(
    'makes the folder of its campaign before training, and says why it cannot',
    async () => {
      const prepare = (owner: string) => {
        const args = [PROGRAM, 'prepare-folder', '--campaigns-folder', folder, `--owner=${owner}`]
        const environment = { TRIBUTARY_CAMPAIGN: CAMPAIGN }
        return spawnSync(process.execPath, args, { env: environment, encoding: 'utf8' })
      }
      expect(prepare(String(process.getuid?.() ?? 0))).toMatchObject({ status: 0 })
      expect(await readdir(join(folder, CAMPAIGN))).toEqual([])
      expect(prepare('nobody')).toMatchObject({
        status: 2,
        stdout: expect.stringContaining('--owner nobody: expected a number from 0') as string,
      })
    },
    SLOW,
  )

  it('ends at once, and not with success, when it is told to', { timeout: 2 * SLOW }, async () => {
    const pod = await startPod()
    await expect.poll(() => campaign.said('hello').length, { timeout: SLOW }).toBe(1)
    expect(await pod.kill('SIGTERM')).toBe(143)
  })

  it('says which settings are missing', { timeout: SLOW }, async () => {
    const pod = await startEdgeProcess(folder, ['train'], { hub: campaign.hub.endpoint, environment: {} })
    expect(await pod.exited).toBe(2)
    expect(pod.log()).toContain('TRIBUTARY_CAMPAIGN: is not set')
  })
})

describe('agent', () => {
  let hub: TestHub
  let reports: AgentReport[]
  let streams: ServerDuplexStream<AgentReport, DesiredModels>[]
  let desired: DesiredModels

  beforeEach(async () => {
    reports = []
    streams = []
    desired = { models: [] }
    hub = await TestHub.start({
      distribution: {
        follow: (stream) => {
          streams.push(stream)
          stream.on('data', (report: AgentReport) => reports.push(report))
          stream.on('error', () => {})
          stream.write(desired)
        },
      },
    })
  })
  afterEach(() => {
    hub.close()
  })

  function want(version: number): void {
    const { wanted, envelope, model } = publish({ version })
    hub.addBlob(envelope)
    hub.addBlob(model)
    desired = { models: [wanted] }
    for (const stream of streams) stream.write(desired)
  }

  async function startAgent(port: number): Promise<EdgeProcess> {
    const pem = KEYS.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const flags = ['agent', '--state-folder', join(folder, 'state'), '--port', String(port)]
    const environment = { TRIBUTARY_SIGNING_PUBLIC_KEY: pem }
    const agent = await startEdgeProcess(folder, flags, { hub: hub.endpoint, environment })
    processes.push(agent)
    return agent
  }

  /** The version that answers, shown by its answer. */
  async function answer(port: number): Promise<number | undefined> {
    const inputs = [{ name: 'x', shape: [1, 3], datatype: 'FP32', data: [1, 1, 1] }]
    const url = `http://127.0.0.1:${port}/v2/models/traffic/infer`
    const response = await fetch(url, { method: 'POST', body: JSON.stringify({ inputs }) }).catch(
      () => undefined,
    )
    if (response?.status !== 200) return undefined
    const body = (await response.json()) as { model_version: string; outputs: { data: number[] }[] }
    expect(body.model_version).toBe(String(body.outputs[0]?.data[0]))
    return body.outputs[0]?.data[0]
  }

  const reported = () => reports.at(-1)?.models[0]?.version

  it(
    'serves a whole verified version after every kill, and never an older one',
    { timeout: 4 * SLOW },
    async () => {
      const port = await freePort()
      want(1)
      let agent = await startAgent(port)
      await expect.poll(reported, { timeout: SLOW }).toBe(1)
      let least = 1
      for (const version of [2, 3, 4]) {
        want(version)
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 400))
        await agent.kill('SIGKILL')
        desired = { models: [publish({ version: 1 }).wanted] }
        agent = await startAgent(port)
        await expect.poll(async () => await answer(port), { timeout: SLOW }).toBeGreaterThanOrEqual(least)
        least = (await answer(port)) ?? Infinity
        expect(least).toBeLessThanOrEqual(version)
      }
    },
  )

  it(
    'serves without a hub, comes back to it, and ends at once when told to',
    { timeout: 3 * SLOW },
    async () => {
      const port = await freePort()
      want(1)
      const first = await startAgent(port)
      await expect.poll(reported, { timeout: SLOW }).toBe(1)
      expect(await first.kill('SIGTERM')).toBe(143)
      const { endpoint } = hub
      hub.endpoint = { ...endpoint, port: 1 }
      const offline = await startAgent(port)
      await expect.poll(async () => await answer(port), { timeout: SLOW }).toBe(1)
      expect((await fetch(`http://127.0.0.1:${port}/v2/health/ready`)).status).toBe(200)
      expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200)
      expect(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).toContain(
        'tributary_agent_model_version',
      )
      await offline.kill('SIGKILL')

      hub.endpoint = endpoint
      await startAgent(port)
      await expect.poll(async () => await answer(port), { timeout: SLOW }).toBe(1)
      hub.cutConnections()
      want(2)
      await expect.poll(async () => await answer(port), { timeout: SLOW }).toBe(2)
    },
  )

  it(
    'takes models from the edge controller that is named, and nothing wrong from it',
    { timeout: 3 * SLOW },
    async () => {
      const controller = await TestHub.start({}, await selfSignedCertificate())
      try {
        const mirror = controller.parent('north', 1)
        const port = await freePort()
        const [first, second] = [publish({ version: 1 }), publish({ version: 2 })]
        for (const bytes of [first.envelope, first.model, second.envelope, second.model])
          controller.addBlob(bytes)
        desired = { models: [{ ...first.wanted, mirror }] }
        const agent = await startAgent(port)
        await expect.poll(reported, { timeout: SLOW }).toBe(1)
        expect(hub.requests).toEqual([])

        // The signed manifest is right; the model's bytes are others, of the same length.
        controller.blobs.set(
          blobPath(second.manifest.model.digest),
          Buffer.from(second.model).fill(1, 20, 30),
        )
        for (const bytes of [second.envelope, second.model]) hub.addBlob(bytes)
        desired = { models: [{ ...second.wanted, mirror }] }
        for (const stream of streams) stream.write(desired)
        await expect.poll(async () => await answer(port), { timeout: SLOW }).toBe(2)
        expect(hub.requests.map(({ path }) => path)).toContain(blobPath(second.manifest.model.digest))
        expect(agent.log()).toContain('fetching from the hub what the edge controller did not bring')
      } finally {
        controller.close()
      }
    },
  )

  it('keeps its version and says why when a wrong one is wanted', { timeout: 2 * SLOW }, async () => {
    const port = await freePort()
    want(2)
    await startAgent(port)
    await expect.poll(reported, { timeout: SLOW }).toBe(2)
    want(1)
    await expect
      .poll(() => reports.at(-1)?.models[0], { timeout: SLOW })
      .toMatchObject({
        version: 2,
        failureReason: 'VersionRollback',
        failedVersion: 1,
      })
    expect(await answer(port)).toBe(2)
  })
})

async function freePort(): Promise<number> {
  const probe = await TestHub.start()
  const { port } = probe.endpoint
  probe.close()
  return port
}
