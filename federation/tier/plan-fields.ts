// Names and times in a plan. UIDs and names of nodes become names of files, so they are held to the characters that Kubernetes
// allows them.
import { z } from 'zod'

const MAXIMUM_NAME = 200

export const uid = z
  .string()
  .regex(/^[0-9a-zA-Z][0-9a-zA-Z-]{0,63}$/, 'is not a UID (letters, digits and dashes, at most 64)')
export const name = z
  .string()
  .max(MAXIMUM_NAME)
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, `is not a Kubernetes name of at most ${MAXIMUM_NAME} characters`)
export const seconds = z
  .int()
  .min(1)
  .max(31 * 24 * 3600)
