/*
 * Loaded before a process that is to die at an exact point of its work on the disk: `assassin.ts?orders=<path>`. From when a
 * file of orders is found there, operations that change the disk are counted, and the process kills itself without warning
 * before or after the one that the orders name. Orders that replace others leave the count so far at `<path>.counted`.
 */
import { existsSync, promises, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

export interface Orders {
  /** From 1. */
  readonly operation: number
  readonly when: 'before' | 'after'
}

export function assassin(ordersPath: string): URL {
  return new URL(`?orders=${encodeURIComponent(ordersPath)}`, import.meta.url)
}

/** How many operations were done under the orders that were replaced last. */
export function countedAt(ordersPath: string): number {
  return Number(readFileSync(`${ordersPath}.counted`, 'utf8'))
}

type Operation = (this: unknown, ...parameters: unknown[]) => Promise<unknown>

const OF_FOLDERS = ['open', 'rename', 'rm', 'mkdir'] as const
const OF_FILES = ['write', 'writev', 'writeFile', 'sync', 'datasync', 'truncate'] as const

class Assassin {
  readonly #path: string
  #orders: Orders | undefined
  #counted = 0

  constructor(path: string) {
    this.#path = path
  }

  watch<Name extends string>(target: Record<Name, unknown>, names: readonly Name[]): void {
    for (const name of names) {
      const operation = target[name] as Operation
      const strike = (when: Orders['when']): void => this.#strike(when)
      target[name] = async function (this: unknown, ...parameters: unknown[]): Promise<unknown> {
        strike('before')
        try {
          return await operation.apply(this, parameters)
        } finally {
          strike('after')
        }
      }
    }
  }

  #strike(when: Orders['when']): void {
    if (when === 'before') {
      if (existsSync(this.#path)) this.#take()
      this.#counted += 1
    }
    if (this.#orders?.when !== when || this.#counted !== this.#orders.operation) return
    process.kill(process.pid, 'SIGKILL')
  }

  #take(): void {
    this.#orders = JSON.parse(readFileSync(this.#path, 'utf8')) as Orders
    writeFileSync(`${this.#path}.counted`, String(this.#counted))
    rmSync(this.#path)
    this.#counted = 0
  }
}

const path = new URL(import.meta.url).searchParams.get('orders')
if (path !== null) {
  const own = new Assassin(path)
  const file = await promises.open(process.execPath)
  const prototype = Object.getPrototypeOf(file) as Pick<FileHandle, (typeof OF_FILES)[number]>
  await file.close()
  own.watch(prototype, OF_FILES)
  own.watch(promises, OF_FOLDERS)
  syncBuiltinESMExports()
}
