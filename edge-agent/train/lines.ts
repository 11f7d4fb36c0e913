// Cuts a stream of bytes into lines of text, with a limit on the stream's and on a line's length: a file without line
// ends cannot fill the memory, and a small compressed file cannot become an endless one.

export interface LineLimits {
  /** Bytes of the whole stream. */
  readonly maximumBytes: number
  readonly maximumLineBytes: number
}

/** Too much input; the message says which limit and its value. */
export class LimitExceeded extends Error {
  override readonly name = 'LimitExceeded'
}

/** Lines without their ends (LF or CRLF), in order; a last line needs no end. Invalid UTF-8 is an error. */
export async function* readLines(
  source: AsyncIterable<Uint8Array>,
  limits: LineLimits,
): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let pending = ''
  let bytes = 0
  for await (const chunk of source) {
    bytes += chunk.length
    if (bytes > limits.maximumBytes) throw new LimitExceeded(`more than ${limits.maximumBytes} bytes`)
    const lines = (pending + decoder.decode(chunk, { stream: true })).split('\n')
    pending = lines.pop() ?? ''
    checkLength(pending, limits)
    for (const line of lines) yield withoutCarriageReturn(line, limits)
  }
  pending += decoder.decode()
  if (pending.length > 0) yield withoutCarriageReturn(pending, limits)
}

function withoutCarriageReturn(line: string, limits: LineLimits): string {
  checkLength(line, limits)
  return line.endsWith('\r') ? line.slice(0, -1) : line
}

function checkLength(line: string, { maximumLineBytes }: LineLimits): void {
  if (line.length > maximumLineBytes) throw new LimitExceeded(`a line of more than ${maximumLineBytes} bytes`)
}
