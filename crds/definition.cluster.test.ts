// The kinds on a real API server, the only judge of CEL rules and their cost: what it installs, fills in, refuses, and
// what people read there.
import { globSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApiServer, type ApiServer } from '#e2e/cluster/api-server.ts'
import { KINDS } from './definition.ts'
import { DeviceProfileSpec } from './device-profile.ts'
import { EdgeModelSpec } from './edge-model.ts'
import { FederatedRoundSpec } from './federated-round.ts'
import { GROUP } from './names.ts'
import { installKinds, kubectlOf, refusalOf, type Kubectl } from './testing/cluster.ts'
import { minimalModel, minimalProfile, minimalRound, type Manifest } from './testing/manifests.ts'
import { WRONG_MANIFESTS } from './testing/wrong-manifests.ts'

const SHAPES = {
  FederatedRound: FederatedRoundSpec,
  EdgeModel: EdgeModelSpec,
  DeviceProfile: DeviceProfileSpec,
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const examples = globSync('examples/*/manifests/*.yaml', { cwd: ROOT })

const now = '2026-01-02T03:04:05Z'

describe('the kinds on an API server', { timeout: 60_000 }, () => {
  let server: ApiServer
  let kubectl: Kubectl

  beforeAll(async () => {
    server = await startApiServer()
    kubectl = kubectlOf(server)
    await installKinds(kubectl)
    await kubectl(['create', 'namespace', 'examples'])
  }, 180_000)

  afterAll(async () => {
    await server.stop()
  })

  const applied = async (manifest: Manifest): Promise<Manifest> =>
    JSON.parse(await kubectl(['apply', '--filename=-', '--output=json'], manifest)) as Manifest

  it('are structural: no condition of the definitions says otherwise', async () => {
    const names = KINDS.map(({ plural }) => `${plural}.${GROUP}`)
    const path = '{range .items[*].status.conditions[?(@.status=="True")]}{.type} {end}'
    const conditions = await kubectl([
      'get',
      'customresourcedefinition',
      ...names,
      `--output=jsonpath=${path}`,
    ])
    expect(conditions).not.toContain('NonStructural')
    expect(conditions.match(/Established/g)).toHaveLength(KINDS.length)
  })

  it.each([minimalRound(), minimalModel(), minimalProfile()])(
    'fill in a minimal $kind exactly as our own reader does',
    async (manifest) => {
      const { spec } = await applied(manifest)
      expect(spec).toEqual(SHAPES[manifest.kind as keyof typeof SHAPES].parse(manifest.spec))
    },
  )

  it('take whole numbers as quantities', async () => {
    const resources = { requests: { cpu: 1 }, limits: { cpu: 2, memory: '1.5Gi' } }
    const { spec } = await applied(minimalRound({ template: { resources } }, 'whole-numbers'))
    expect(spec).toMatchObject({ template: { resources } })
  })

  it('take FedBuff with a buffer between quorum and draw, and fill in its staleness', async () => {
    const strategy = { type: 'FedBuff', fedBuff: { bufferSize: 4 } }
    const participants = { profiles: ['gateway'], perRound: 4 }
    const spec = { aggregation: { strategy }, participants, completion: { minUpdates: 4 } }
    const fedBuff = { bufferSize: 4, maxStaleness: 20, serverLearningRate: 1 }
    expect(await applied(minimalRound(spec, 'buffered'))).toMatchObject({
      spec: { aggregation: { strategy: { type: 'FedBuff', fedBuff } } },
    })
  })

  it.each([1, '50%'])(
    'take zones with a quorum of %s, and fill in where controllers run',
    async (minUpdates) => {
      const { spec } = await applied(
        minimalRound({ hierarchy: { type: 'Zones', zones: { minUpdates } } }, 'zones'),
      )
      const parsed = FederatedRoundSpec.parse({
        ...spec,
        hierarchy: { type: 'Zones', zones: { minUpdates } },
      })
      expect(spec['hierarchy']).toEqual(parsed.hierarchy)
    },
  )

  it.each(examples)('take the example %s', async (file) => {
    const said = await kubectl([
      'create',
      '--dry-run=server',
      '--validate=strict',
      '--namespace=examples',
      `--filename=${ROOT}${file}`,
    ])
    expect(said).toContain('created (server dry run)')
  })

  describe('refuse', () => {
    it.each(WRONG_MANIFESTS)('$name', async ({ manifest, says }) => {
      const refusal = await refusalOf(kubectl(['create', '--filename=-', '--dry-run=server'], manifest))
      expect(refusal).toBeDefined()
      for (const words of says) expect(refusal).toContain(words)
    })
  })

  describe('keep what must not change', () => {
    it.each([
      { field: 'modelRef', change: { modelRef: { name: 'other' } } },
      { field: 'dataset', change: { dataset: 'other' } },
      { field: 'training', change: { training: { epochs: 7 } } },
      { field: 'evaluation', change: { evaluation: { split: 'Random' } } },
      { field: 'lateUpdates', change: { lateUpdates: 'Carry' } },
      {
        field: 'personalization',
        change: { personalization: { type: 'Ditto', ditto: { lambda: 1 } } },
      },
    ])('$field of a FederatedRound', async ({ field, change }) => {
      await applied(minimalRound({}, 'immutable'))
      const patch = JSON.stringify({ spec: change })
      const attempt = kubectl(['patch', 'fr', 'immutable', '--type=merge', `--patch=${patch}`])
      expect(await refusalOf(attempt)).toContain(`${field} cannot be changed: create another FederatedRound`)
    })

    it.each([{ hierarchy: { type: 'Flat', zones: null } }, { hierarchy: { zones: { nodeLabel: 'site' } } }])(
      'the tree of a FederatedRound, as by %j',
      async (change) => {
        const { hierarchy } = change
        await applied(minimalRound({ hierarchy: { type: 'Zones' } }, 'immutable-tree'))
        const patch = JSON.stringify({ spec: { hierarchy } })
        const attempt = kubectl(['patch', 'fr', 'immutable-tree', '--type=merge', `--patch=${patch}`])
        expect(await refusalOf(attempt)).toContain(
          'hierarchy.type and hierarchy.zones.nodeLabel cannot be changed',
        )
      },
    )

    it('source of an EdgeModel', async () => {
      await applied(minimalModel({}, 'immutable'))
      const patch = JSON.stringify({ spec: { source: { storageUri: 'configmap://other/model.onnx' } } })
      const attempt = kubectl(['patch', 'em', 'immutable', '--type=merge', `--patch=${patch}`])
      expect(await refusalOf(attempt)).toContain('source cannot be changed: create another EdgeModel')
    })

    it('but not how zones close and where their controllers run', async () => {
      await applied(minimalRound({ hierarchy: { type: 'Zones' } }, 'mutable-tree'))
      const zones = { minUpdates: '20%', deadlineSeconds: 7, controller: { whenLost: 'UseHub', port: 8444 } }
      const { spec } = await applied(minimalRound({ hierarchy: { type: 'Zones', zones } }, 'mutable-tree'))
      expect(spec).toMatchObject({ hierarchy: { zones } })
    })

    it('but not rounds, suspend, deadlines and the target', async () => {
      await applied(minimalRound({}, 'mutable'))
      const changed = { rounds: 9, suspend: true, until: { metric: 'loss', atMost: 0.1 } }
      const { spec } = await applied(minimalRound(changed, 'mutable'))
      expect(spec).toMatchObject(changed)
    })
  })

  it('explain themselves', async () => {
    const optimizer = await kubectl(['explain', 'federatedround.spec.training.optimizer'])
    expect(optimizer).toContain('How a node improves the parameters.')
    expect(optimizer).toMatch(/learningRate\s+<number>\s+Step size\. Default: 0\.01\./)
    expect(optimizer).toMatch(/enum: SGD, Adam/)
    const profile = await kubectl(['explain', 'devprof.spec.datasets.hostPath'])
    expect(profile.replace(/\s+/g, ' ')).toContain(
      'Absolute path of one CSV file on every node of the profile',
    )
  })

  describe('show', () => {
    const status = async (kind: string, name: string, fields: unknown): Promise<string> => {
      const patch = JSON.stringify({ status: fields })
      await kubectl(['patch', kind, name, '--subresource=status', '--type=merge', `--patch=${patch}`])
      return kubectl(['get', kind, name])
    }

    it('a FederatedRound in one line', async () => {
      await applied(minimalRound({}, 'shown'))
      const line = await status('fr', 'shown', {
        phase: 'Training',
        roundProgress: '3/20',
        updatesProgress: '7/10',
        metric: '0.942',
        modelVersion: 'v4',
      })
      expect(line).toMatch(/^NAME +PHASE +ROUND +UPDATES +METRIC +MODEL +AGE\n/)
      expect(line).toMatch(/\nshown +Training +3\/20 +7\/10 +0\.942 +v4 +\S+\n$/)
    })

    it('fifty zones as a list that says of each where its controller is, and in what state', async () => {
      await applied(minimalRound({ hierarchy: { type: 'Zones' } }, 'fifty'))
      const tiers = Array.from({ length: 50 }, (_, k) => ({
        ...{
          zone: `zone-${k}`,
          state: k === 7 ? 'Lost' : 'Connected',
          node: `edge-${k}`,
          pod: `fifty-${k}-1`,
        },
        ...{ podUid: `uid-${k}`, epoch: 1, received: 2, wanted: 3 },
        ...(k === 7 ? { message: 'node edge-7 was deleted' } : {}),
      }))
      await status('fr', 'fifty', { zonesProgress: '49/50', tiers })
      expect(await kubectl(['get', 'fr', 'fifty', '--output=wide'])).toMatch(/ZONES.*\n.* 49\/50 /)
      const described = (await kubectl(['describe', 'fr', 'fifty'])).split('\n').map((line) => line.trim())
      const from = described.indexOf('Tiers:')
      const zone = described.slice(
        described.findIndex((line) => line.endsWith('node edge-7 was deleted')) - 1,
      )
      expect(zone.slice(0, 9).map((line) => line.replace(/: +/, ': '))).toEqual([
        ...[
          'Epoch: 1',
          'Message: node edge-7 was deleted',
          'Node: edge-7',
          'Pod: fifty-7-1',
          'Pod UID: uid-7',
        ],
        ...['Received: 2', 'State: Lost', 'Wanted: 3', 'Zone: zone-7'],
      ])
      // Eight lines a zone, nine with a message.
      expect(described.slice(from).findIndex((line) => line.startsWith('Zones Progress:'))).toBe(402)
    })

    it('why it waits, when asked for more', async () => {
      await applied(minimalRound({}, 'waiting'))
      const condition = {
        type: 'Progressing',
        status: 'False',
        reason: 'WaitingForNodes',
        message: 'Two of three.',
      }
      await status('fr', 'waiting', { conditions: [{ ...condition, lastTransitionTime: now }] })
      expect(await kubectl(['get', 'fr', 'waiting', '--output=wide'])).toMatch(/REASON\n.*WaitingForNodes/s)
    })

    it('an EdgeModel and a DeviceProfile in one line', async () => {
      await applied(minimalModel({}, 'shown'))
      const line = await status('em', 'shown', {
        latestVersion: 'v4',
        phase: 'RollingOut',
        updated: '9/10',
        metric: '0.942',
      })
      expect(line).toMatch(/\nshown +v4 +RollingOut +9\/10 +0\.942 +\S+\n$/)
      await applied(minimalProfile({}, 'shown'))
      const profile = await status('devprof', 'shown', { matchedNodes: 4, readyNodes: 3 })
      expect(profile).toMatch(/^NAME +NODES +READY +AGE\nshown +4 +3 +\S+\n$/)
    })

    it('all three under their category', async () => {
      const everything = await kubectl(['get', 'tributary', '--output=name'])
      for (const { plural, kind } of KINDS)
        expect([plural, everything]).toEqual([
          plural,
          expect.stringContaining(`${kind.toLowerCase()}.${GROUP}/`),
        ])
    })
  })
})
