// Passes the events of a watch on, line by line, with the fault that was asked for.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { LineSplitter } from '../lines.ts'
import type { Fault, StreamEnd } from './fault-rules.ts'

export interface StreamFault {
  fault: Fault | undefined
  isFrozen: () => boolean
  /** Resets the client's connection. */
  reset: () => void
}

const MAX_LINE_BYTES = 16 * 1024 * 1024

export async function forwardWatch(
  answer: IncomingMessage,
  response: ServerResponse,
  options: StreamFault,
): Promise<void> {
  const { fault, isFrozen, reset } = options
  const until = fault?.kind === 'stream' ? fault : { afterEvents: Infinity, then: 'end' as const }
  let passed = 0
  if (until.afterEvents > 0) {
    for await (const line of linesOf(answer)) {
      if (!isFrozen()) passed += passLine(line, response, fault)
      if (passed >= until.afterEvents) break
    }
  }
  if (!isFrozen()) end(until.then, response, reset)
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
  const { type } = JSON.parse(line.toString('utf8')) as { type: string }
  if (fault?.kind === 'suppressEvents' && fault.types.includes(type)) return 0
  response.write(line)
  response.write('\n')
  if (fault?.kind === 'duplicateEvents' && type !== 'BOOKMARK') response.write(`${line.toString('utf8')}\n`)
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
