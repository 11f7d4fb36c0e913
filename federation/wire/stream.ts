// A stream to the hub that is opened again for as long as the signal allows: after any error, after a silent peer, after
// a clean end. What has to be said anew on each stream is said in `onOpen`; messages are handed over in order.
import type { ClientDuplexStream } from '@grpc/grpc-js'

import { Backoff, type BackoffOptions, sleep } from './backoff.ts'

/** A newly opened call and what has to be closed with it. */
export interface OpenCall<Request, Response> {
  readonly call: ClientDuplexStream<Request, Response>
  readonly close: () => void
}

export interface StreamOptions<Request, Response> {
  readonly open: () => OpenCall<Request, Response>
  /** Called first on every new stream; `send` does nothing once the stream is over. */
  readonly onOpen: (send: (message: Request) => void) => void
  readonly onMessage: (message: Response) => void
  readonly onRetry: (error: Error, waitMs: number) => void
  readonly signal: AbortSignal
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** The hub's first message must come within this time. */
  readonly firstMessageMs?: number
  readonly backoff?: BackoffOptions | undefined
}

export const FIRST_MESSAGE_MS = 30_000
/** A stream that lasted this long was a good one: the next failure waits the shortest time. */
export const GOOD_STREAM_MS = 10_000

/** Rejects with the signal's reason, and never otherwise. */
export async function keepStreamOpen<Request, Response>(
  options: StreamOptions<Request, Response>,
): Promise<never> {
  const backoff = new Backoff(options.random, options.backoff)
  for (;;) {
    options.signal.throwIfAborted()
    const good = setTimeout(() => {
      backoff.reset()
    }, GOOD_STREAM_MS)
    const error = await oneStream(options)
    clearTimeout(good)
    options.signal.throwIfAborted()
    const waitMs = backoff.next()
    options.onRetry(error, waitMs)
    await sleep(waitMs, options.signal)
  }
}

/** Resolves with the reason why the stream is over. */
async function oneStream<Request, Response>(options: StreamOptions<Request, Response>): Promise<Error> {
  const { call, close } = options.open()
  let over = false
  const abort = () => {
    call.cancel()
  }
  options.signal.addEventListener('abort', abort, { once: true })
  try {
    return await new Promise<Error>((resolve) => {
      const silence = setTimeout(() => {
        resolve(new Error('the hub sent nothing after the stream was opened'))
        call.cancel()
      }, options.firstMessageMs ?? FIRST_MESSAGE_MS)
      call.on('data', (message: Response) => {
        clearTimeout(silence)
        if (!over) options.onMessage(message)
      })
      const end = (error: Error) => {
        clearTimeout(silence)
        resolve(error)
      }
      call.on('error', end)
      call.on('end', () => {
        end(new Error('the hub ended the stream'))
      })
      options.onOpen((message) => {
        if (!over) call.write(message)
      })
    })
  } finally {
    over = true
    options.signal.removeEventListener('abort', abort)
    call.cancel()
    close()
  }
}
