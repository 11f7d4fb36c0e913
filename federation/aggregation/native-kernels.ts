// The compiled kernels (native/), loaded when this machine has them. They give the bits of reference-kernels.ts, which
// serve wherever the add-on is missing or of another platform; which of the two works is said, never guessed.
import { createRequire } from 'node:module'
import type { Kernels } from './kernels.ts'
import { referenceKernels } from './reference-kernels.ts'

export interface LoadedKernels {
  readonly kernels: Kernels
  /** For a log line: the instruction set that is used, or why the slower kernels serve. */
  readonly description: string
  /** False when the kernels in TypeScript serve. */
  readonly native: boolean
}

/** Kernels compiled for one instruction set. */
export interface CompiledKernels extends Required<Kernels> {
  readonly variant: string
}

/** Beside this file in the checkout, beside the program in an image. */
const ADDON = './native/kernels.node'

/** Everything that runs on this processor, the fastest first. Throws when there is no add-on for it. */
export function compiledKernels(path: string = ADDON): readonly CompiledKernels[] {
  const addon = createRequire(import.meta.url)(path) as { variants: readonly CompiledKernels[] }
  return addon.variants
}

/** The fastest kernels that this machine can run. */
export function loadKernels(path: string = ADDON): LoadedKernels {
  try {
    const [fastest] = compiledKernels(path)
    if (fastest) return { kernels: fastest, description: `compiled for ${fastest.variant}`, native: true }
    return inTypeScript('the add-on is for other processors')
  } catch (error) {
    return inTypeScript(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error))
  }
}

function inTypeScript(reason: string): LoadedKernels {
  return { kernels: referenceKernels, description: `TypeScript, because: ${reason}`, native: false }
}
