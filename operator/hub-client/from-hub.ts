// A question to the hub whose answer may be silence: for observers, that is a value like any other.
import { messageOf } from '#operator/kube/errors.ts'

/** Answer of the hub, or why there is none. */
export type FromHub<T> = { kind: 'known'; state: T } | { kind: 'unreachable'; message: string }

export async function ask<T>(question: () => Promise<T>): Promise<FromHub<T>> {
  try {
    return { kind: 'known', state: await question() }
  } catch (error) {
    return { kind: 'unreachable', message: messageOf(error) }
  }
}
