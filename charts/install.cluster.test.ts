// The chart on a real API server: everything is accepted, Pod Security and RBAC are what we say they are, the kinds
// are upgraded with the chart, and nothing is left when it goes.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApiServer, type ApiServer } from '#e2e/cluster/api-server.ts'
import { waitFor } from '#e2e/cluster/wait.ts'
import { kubectlOf, refusalOf, type Kubectl } from '#crds/testing/cluster.ts'
import { minimalRound } from '#crds/testing/manifests.ts'
import { chartFiles } from './chart.ts'
import { ADDRESS, CHART, helm, NAMESPACE, podOf, rendered } from './testing/helm.ts'

const VALUES = { hub: { address: ADDRESS } }

let server: ApiServer
let kubectl: Kubectl

beforeAll(async () => {
  server = await startApiServer()
  kubectl = kubectlOf(server)
  for (const [name, level] of [
    [NAMESPACE, 'privileged'],
    ['strict', 'restricted'],
  ] as const) {
    const labels = { 'pod-security.kubernetes.io/enforce': level }
    await kubectl(['apply', '--filename=-'], {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels },
    })
  }
}, 180_000)

afterAll(async () => {
  await server.stop()
})

const onCluster = (): string[] => [`--namespace=${NAMESPACE}`, `--kubeconfig=${server.kubeconfig}`]

const install = (chart = CHART, values: object = VALUES): Promise<string> =>
  helm(['upgrade', '--install', 'tributary', chart, ...onCluster()], values)

const uninstall = (): Promise<string> => helm(['uninstall', 'tributary', ...onCluster()])

describe('the objects of the chart', () => {
  it.each([
    { name: 'as they are by default', values: {} },
    { name: 'with a folder of the node', values: { persistence: { type: 'HostPath' } } },
    {
      name: 'behind a load balancer',
      values: { service: { type: 'LoadBalancer' }, persistence: { type: 'EmptyDir' } },
    },
  ])('are all accepted $name', async ({ values }) => {
    for (const object of await rendered({ hub: { address: ADDRESS, ...values } })) {
      const said = await kubectl(
        ['apply', '--server-side', '--dry-run=server', '--validate=strict', '--filename=-'],
        object,
      )
      expect(said).toContain('serverside-applied')
    }
  })

  const createPod = async (
    component: 'operator' | 'hub' | 'agent',
    namespace: string,
  ): Promise<string | undefined> => {
    const spec = podOf(await rendered(), component)
    const volumes = [...spec.volumes, ...(component === 'hub' ? [{ name: 'data', emptyDir: {} }] : [])]
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: component, namespace },
      spec: { ...spec, volumes },
    }
    return refusalOf(kubectl(['create', '--dry-run=server', '--filename=-'], pod))
  }

  it.each(['operator', 'hub'] as const)(
    'make a pod of the restricted level for the %s',
    async (component) => {
      expect(await createPod(component, 'strict')).toBeUndefined()
    },
  )

  it('make a pod for the agent that only lacks what NOTES says', async () => {
    expect(await createPod('agent', NAMESPACE)).toBeUndefined()
    const refusal = (await createPod('agent', 'strict')) ?? ''
    const reasons = /violates PodSecurity "restricted:latest": (.*)/.exec(refusal)?.[1] ?? ''
    const named = reasons.split(/\), /).map((reason) => reason.replace(/ \(.*/, ''))
    expect(named.sort()).toEqual([
      'host namespaces',
      'hostPort',
      'restricted volume types',
      'runAsNonRoot != true',
      'runAsUser=0',
    ])
  })
})

describe('the notes after an installation', () => {
  const notes = async (values: object): Promise<string> => {
    const said = await helm(['install', 'tributary', CHART, '--dry-run=client', ...onCluster()], values)
    return said.slice(said.indexOf('NOTES:'))
  }

  it('say where the hub is reached, what Pod Security must allow, and how to uninstall', async () => {
    const said = await notes(VALUES)
    expect(said).toContain(`Edge nodes reach the hub at ${ADDRESS} (outbound only).`)
    expect(said).toContain('It must lead to port 30843 of any node')
    expect(said).toContain('pod-security.kubernetes.io/enforce=privileged')
    expect(said).toContain('delete persistentvolumeclaim data-tributary-hub-0')
    expect(said).not.toContain('WARNING')
  })

  it('leave out what the values leave out, and warn of data that go with a pod', async () => {
    const values = {
      agent: { enabled: false },
      crds: { keep: false },
      hub: { address: ADDRESS, persistence: { type: 'EmptyDir' } },
    }
    const said = await notes(values)
    expect(said).toContain('WARNING: hub.persistence.type is EmptyDir.')
    for (const absent of ['persistentvolumeclaim', 'customresourcedefinition', 'enforce=privileged']) {
      expect(said).not.toContain(absent)
    }
  })
})

describe('an installed chart', () => {
  beforeAll(async () => {
    await install()
  }, 120_000)

  const may = async (component: string, question: string, namespace = NAMESPACE): Promise<boolean> => {
    const subject = `--as=system:serviceaccount:${NAMESPACE}:tributary-${component}`
    const refused = await refusalOf(
      kubectl(['auth', 'can-i', ...question.split(' '), subject, `--namespace=${namespace}`]),
    )
    return refused === undefined
  }

  it.each([
    ['operator', 'list nodes'],
    ['operator', 'watch nodes'],
    ['operator', 'create pods'],
    ['operator', 'delete pods'],
    ['operator', 'patch federatedrounds.tributary.dev'],
    ['operator', 'patch federatedrounds.tributary.dev --subresource=status'],
    ['operator', 'create events.events.k8s.io'],
    ['hub', 'create tokenreviews.authentication.k8s.io'],
    ['hub', 'get configmaps'],
  ])('lets the %s %s everywhere', async (component, question) => {
    expect(await may(component, question, 'default')).toBe(true)
  })

  it.each([
    ['operator', 'get secrets/tributary-signing-key'],
    ['operator', 'create secrets'],
    ['operator', 'patch configmaps/tributary-trust'],
    ['operator', 'update leases.coordination.k8s.io/tributary-operator'],
    ['operator', 'get deployments.apps/tributary-operator'],
  ])('lets the %s %s at home, and nowhere else', async (component, question) => {
    expect(await may(component, question)).toBe(true)
    expect(await may(component, question, 'default')).toBe(false)
  })

  it.each([
    ['operator', 'get secrets'],
    ['operator', 'get secrets/another'],
    ['operator', 'list configmaps'],
    ['operator', 'create federatedrounds.tributary.dev'],
    ['operator', 'delete federatedrounds.tributary.dev'],
    ['operator', 'create pods --subresource=exec'],
    ['operator', 'patch nodes'],
    ['operator', 'create clusterrolebindings.rbac.authorization.k8s.io'],
    ['hub', 'get secrets'],
    ['hub', 'list configmaps'],
    ['hub', 'get pods'],
    ['hub', 'list federatedrounds.tributary.dev'],
    ['agent', 'get configmaps'],
    ['agent', 'get pods'],
  ])('does not let the %s %s', async (component, question) => {
    expect(await may(component, question)).toBe(false)
  })

  it('is installed again without a change', async () => {
    const objects = ['deployment', 'statefulset', 'daemonset', 'service', 'clusterrole/tributary-operator']
    const generations = () =>
      kubectl([
        'get',
        `--namespace=${NAMESPACE}`,
        '--output=jsonpath={.items[*].metadata.resourceVersion}',
        objects.slice(0, 4).join(','),
      ])
    const before = await generations()
    await install()
    expect(await generations()).toBe(before)
  })

  it('refuses a second one in the cluster', async () => {
    const second = helm(
      ['install', 'second', CHART, '--namespace=default', `--kubeconfig=${server.kubeconfig}`],
      VALUES,
    )
    expect(await refusalOf(second)).toMatch(/exists and cannot be imported into the current release/)
  })
})

describe('the kinds', () => {
  const phaseColumn = async (): Promise<string> =>
    kubectl([
      'get',
      'customresourcedefinition',
      'federatedrounds.tributary.dev',
      '--output=jsonpath={..additionalPrinterColumns[0].description}',
    ])

  /** The chart as another version of it might have been. */
  const otherVersion = (): string => {
    const folder = mkdtempSync(join(server.folder, 'chart-'))
    for (const [path, content] of Object.entries(chartFiles())) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), content.replace('What the campaign is doing.', 'As it was.'))
    }
    return folder
  }

  it('are upgraded with the chart, and keep their objects', async () => {
    const older = otherVersion()
    await install(older)
    rmSync(older, { recursive: true })
    expect(await phaseColumn()).toBe('As it was.')
    await waitFor({ what: 'FederatedRounds to be served', timeoutMs: 30_000 }, async () =>
      (await refusalOf(kubectl(['apply', '--filename=-'], minimalRound()))) === undefined ? true : undefined,
    )
    await install()
    expect(await phaseColumn()).toBe('What the campaign is doing.')
    expect(await kubectl(['get', 'fr', '--output=name'])).toContain('/digits')
  })
})

describe('uninstalling', () => {
  const LABEL = '--selector=app.kubernetes.io/name=tributary'

  /** Every object of any listable kind that carries our label or name. */
  const left = async (): Promise<string[]> => {
    const resources = (await kubectl(['api-resources', '--verbs=list', '--output=name'])).trim().split('\n')
    const asked = resources.filter((resource) => !resource.startsWith('events')).join(',')
    const labelled = await kubectl([
      'get',
      asked,
      '--all-namespaces',
      LABEL,
      '--output=name',
      '--ignore-not-found',
    ])
    const named = await kubectl([
      'get',
      asked,
      `--namespace=${NAMESPACE}`,
      '--output=name',
      '--ignore-not-found',
    ])
    // The API server's own registration of the group goes some time after the definitions.
    const served = (name: string): boolean => name.startsWith('apiservice')
    const ours = [...labelled.split('\n'), ...named.split('\n').filter((name) => name.includes('tributary'))]
    return [
      ...new Set(ours.filter((name) => name !== '' && !served(name) && name !== `namespace/${NAMESPACE}`)),
    ].sort()
  }

  it('leaves the definitions, and the manifests with them, when they are to be kept', async () => {
    await install()
    await uninstall()
    expect(await left()).toEqual([
      'customresourcedefinition.apiextensions.k8s.io/deviceprofiles.tributary.dev',
      'customresourcedefinition.apiextensions.k8s.io/edgemodels.tributary.dev',
      'customresourcedefinition.apiextensions.k8s.io/federatedrounds.tributary.dev',
    ])
    expect(await kubectl(['get', 'fr', '--output=name'])).toContain('/digits')
  })

  it('takes over definitions that were kept, and leaves nothing when they are not to be', async () => {
    await install(CHART, { ...VALUES, crds: { keep: false } })
    await uninstall()
    await waitFor({ what: 'nothing to be left', timeoutMs: 60_000 }, async () =>
      (await left()).length === 0 ? true : undefined,
    )
  })
})
