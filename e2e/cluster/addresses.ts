// A cluster's addresses: one of sixteen blocks of 4,096 in 10.89.0.0/16, cut into the nodes' network, the services'
// range and a range of pods for each node. Pure arithmetic; who holds which block is decided elsewhere.

export const blockCount = 16
const podRangeSize = 128

export interface AddressBlock {
  readonly index: number
  readonly range: string
  /** This machine on the nodes' network, where the API server listens. */
  readonly gateway: string
  readonly services: string
  /** The `kubernetes` Service: the first address of the services' range. */
  readonly kubernetesService: string
  /** A loopback address of the cluster's own, for what only this machine may reach. */
  readonly loopback: string
}

export function addressBlock(index: number): AddressBlock {
  if (!Number.isInteger(index) || index < 0 || index >= blockCount) {
    throw new Error(`address block ${String(index)}: there are blocks 0 to ${String(blockCount - 1)}`)
  }
  const third = index * 16
  return {
    index,
    range: `10.89.${String(third)}.0/20`,
    gateway: `10.89.${String(third)}.1`,
    services: `10.89.${String(third + 1)}.0/24`,
    kubernetesService: `10.89.${String(third + 1)}.1`,
    loopback: `127.89.${String(third)}.1`,
  }
}

export function nodeAddress(block: AddressBlock, nodeIndex: number): string {
  return `10.89.${String(block.index * 16)}.${String(11 + nodeIndex)}`
}

export function podRange(block: AddressBlock, nodeIndex: number): string {
  const offset = nodeIndex * podRangeSize
  return `10.89.${String(block.index * 16 + 2 + Math.floor(offset / 256))}.${String(offset % 256)}/25`
}

/**
 * Whether a route of the machine leads into the block. Routes wider than the block's /16 do not count: they only say
 * that some gateway takes the traffic that nothing nearer takes.
 */
export function leadsInto(route: string, block: AddressBlock): boolean {
  const [routeStart, routeLength] = parseRange(route)
  const [blockStart, blockLength] = parseRange(block.range)
  if (routeLength < 16) return false
  const common = Math.min(routeLength, blockLength)
  const mask = common === 0 ? 0 : (0xffffffff << (32 - common)) >>> 0
  return (routeStart & mask) === (blockStart & mask)
}

function parseRange(range: string): [start: number, length: number] {
  const [address = '', length = '32'] = range.split('/')
  const bytes = address.split('.').map(Number)
  const start = bytes.reduce((sum, byte) => sum * 256 + byte, 0)
  return [start >>> 0, Number(length)]
}
