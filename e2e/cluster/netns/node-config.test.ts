import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { addressBlock } from '../addresses.ts'
import { defaultTopology } from '../topology.ts'
import { netnsLayout, nodeLayouts } from './layout.ts'
import { containerdConfig, kubeletConfig, kubeProxyConfig, podNetwork } from './node-config.ts'

const block = addressBlock(2)
const [cloud, edge] = nodeLayouts(netnsLayout('default'), defaultTopology.nodes, block)

describe('the configuration of a node', () => {
  it('puts the pods of an edge node behind its address, and those of a cloud node not', () => {
    const masquerades = [cloud!, edge!].map(
      (node) => (JSON.parse(podNetwork(node)) as { plugins: { ipMasq?: boolean }[] }).plugins[0]?.ipMasq,
    )
    expect(masquerades).toEqual([false, true])
  })

  it('gives kubelet a control group of its own and lets nobody in without a name', () => {
    expect(parse(kubeletConfig(edge!, '/credentials'))).toMatchObject({
      cgroupRoot: edge!.cgroup,
      authentication: { anonymous: { enabled: false } },
      authorization: { mode: 'Webhook' },
      failCgroupV1: false,
      imageGCHighThresholdPercent: 100,
    })
  })

  it('lets kube-proxy know its node', () => {
    expect(parse(kubeProxyConfig(cloud!, block))).toMatchObject({
      hostnameOverride: 'cloud-1',
      clusterCIDR: block.range,
    })
  })

  it('copies layers where the file systems cannot be stacked', () => {
    expect(containerdConfig({ cniFolder: '/cni', snapshotter: 'native' })).toContain('snapshotter = "native"')
  })
})
