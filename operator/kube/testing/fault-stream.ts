// Passes the events of a watch on, line by line, with the fault that was asked for.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { LineSplitter } from '../lines.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventFate, Fault, StreamEnd, WatchedEvent } from './fault-rules.ts'

export interface StreamFault {
  fault: Fault | undefined
  isFrozen: () => boolean
  /** Resets the client's connection. */
  reset: () => void
  /** Told of each event that the server sent, whatever becomes of it. */
  seen?: ((event: WatchedEvent) => void) | undefined
}

const MAX_LINE_BYTES = 16 * 1024 * 1024

export async function forwardWatch(
  answer: IncomingMessage,
  response: ServerResponse,
  options: StreamFault,
): Promise<void> {
  const { fault, isFrozen, reset } = options
  if (fault?.kind === 'events') {
    await forwardByFate(answer, response, { ...options, fate: fault.fate })
    return
  }
  const until = fault?.kind === 'stream' ? fault : { afterEvents: Infinity, then: 'end' as const }
  let passed = 0
  if (until.afterEvents > 0) {
    for await (const line of linesOf(answer)) {
      options.seen?.(eventOf(line))
      if (!isFrozen()) passed += passLine(line, response, fault)
      if (passed >= until.afterEvents) break
    }
  }
  if (!isFrozen()) end(until.then, response, reset)
}

async function forwardByFate(
  answer: IncomingMessage,
  response: ServerResponse,
  { fate, seen, isFrozen }: StreamFault & { fate: (event: WatchedEvent) => EventFate },
): Promise<void> {
  const losing = new AbortController()
  for await (const line of linesOf(answer)) {
    const event = eventOf(line)
    seen?.(event)
    if (losing.signal.aborted || isFrozen()) continue
    const decided = event.type === 'BOOKMARK' ? 'pass' : fate(event)
    if (typeof decided === 'object' && 'lostForMs' in decided) {
      losing.abort()
      setTimeout(() => response.end(errorEvent(410)), decided.lostForMs)
      continue
    }
    if (typeof decided === 'object') await sleep(decided.delayMs)
    if (decided === 'twice') writeLine(line, response)
    writeLine(line, response)
  }
  if (!losing.signal.aborted) response.end()
}

function writeLine(line: Buffer, response: ServerResponse): void {
  response.write(line)
  response.write('\n')
}

function eventOf(line: Buffer): WatchedEvent {
  return JSON.parse(line.toString('utf8')) as WatchedEvent
}

async function* linesOf(answer: IncomingMessage): AsyncGenerator<Buffer> {
  const lines = new LineSplitter(MAX_LINE_BYTES)
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    lines.push(chunk)
    for (let line = lines.shift(); line; line = lines.shift()) yield line
  }
}

/** Returns how many events were passed on. */
function passLine(line: Buffer, response: ServerResponse, fault: Fault | undefined): number {
  const { type } = eventOf(line)
  if (fault?.kind === 'suppressEvents' && fault.types.includes(type)) return 0
  writeLine(line, response)
  if (fault?.kind === 'duplicateEvents' && type !== 'BOOKMARK') writeLine(line, response)
  return type === 'BOOKMARK' ? 0 : 1
}

function end(how: StreamEnd, response: ServerResponse, reset: () => void): void {
  if (how === 'end') response.end()
  else if (how === 'close') response.socket?.end()
  else if (how === 'reset') reset()
  else if (how === 'hang') return
  else if ('raw' in how) response.write(how.raw)
  else response.end(errorEvent(how.errorEvent))
}

function errorEvent(code: number): string {
  const reason = code === 410 ? 'Expired' : 'InternalError'
  const object = {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    message: 'by the proxy',
    reason,
    code,
  }
  return `${JSON.stringify({ type: 'ERROR', object })}\n`
}
