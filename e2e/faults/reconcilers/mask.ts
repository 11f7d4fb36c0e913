// What differs from run to run and says nothing: names of the namespace and the lane, UIDs, times, and the hash in a
// training pod's name. After masking, two runs of one scenario can be compared as text.

export interface Mask {
  namespace: string
  lane: string
}

const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g
const UID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g
const POD_HASH = /digits-[0-9a-f]{12}/g

export function masked(text: string, { namespace, lane }: Mask): string {
  return text
    .replaceAll(namespace, '<namespace>')
    .replaceAll(`-${lane}`, '')
    .replaceAll(TIME, '<time>')
    .replaceAll(UID, '<uid>')
    .replaceAll(POD_HASH, 'digits-<hash>')
}
