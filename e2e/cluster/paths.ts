// Where local state lives: everything a cluster or a build leaves behind is under one git-ignored folder
// of the checkout, so that removing the checkout removes it too.
import { createHash } from 'node:crypto'
import path from 'node:path'

export const checkoutFolder = path.resolve(import.meta.dirname, '..', '..')
export const stateFolder = path.join(checkoutFolder, '.tributary')
export const binFolder = path.join(stateFolder, 'bin')
export const imagesFolder = path.join(stateFolder, 'images')
export const toolModulesFolder = path.join(checkoutFolder, 'e2e', 'tools')

export function clusterFolder(clusterName: string): string {
  return path.join(stateFolder, 'clusters', clusterName)
}

/** Eight hexadecimal digits that tell this checkout's cluster from every other on the machine. */
export function checkoutDigest(clusterName: string, checkout = checkoutFolder): string {
  return createHash('sha256').update(`${checkout}\0${clusterName}`).digest('hex').slice(0, 8)
}
