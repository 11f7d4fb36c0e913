// Tells a person what is being done, how far it is and how long it took: one line that is rewritten on a
// terminal, plain lines with a sign of life every ten seconds elsewhere.

export interface Step {
  update(detail: string): void
  end(detail?: string): void
  fail(): void
}

export interface Progress {
  begin(what: string): Step
  note(text: string): void
}

export interface ProgressTarget {
  readonly isTTY: boolean
  readonly write: (text: string) => void
  readonly now: () => number
}

const signOfLifeMs = 10_000

export function progressTo(target: ProgressTarget): Progress {
  return {
    begin: (what) => beginStep(target, what),
    note: (text) => {
      target.write(`${text}\n`)
    },
  }
}

export const silentProgress: Progress = {
  begin: () => ({ update: () => undefined, end: () => undefined, fail: () => undefined }),
  note: () => undefined,
}

function beginStep(target: ProgressTarget, what: string): Step {
  const startedAt = target.now()
  let saidAt = startedAt
  let latest = ''
  const line = (detail: string): string =>
    `${what}${detail === '' ? '' : `: ${detail}`} (${elapsed(target.now() - startedAt)})`
  const say = (): void => {
    saidAt = target.now()
    target.write(target.isTTY ? `\r\u001b[K${line(latest)}` : `${line(latest)}\n`)
  }
  const timer = setInterval(say, target.isTTY ? 1000 : signOfLifeMs)
  timer.unref()
  const close = (text: string): void => {
    clearInterval(timer)
    target.write(`${target.isTTY ? '\r\u001b[K' : ''}${text}\n`)
  }
  return {
    update: (detail) => {
      latest = detail
      if (target.isTTY || target.now() - saidAt >= signOfLifeMs) say()
    },
    end: (detail = 'done') => {
      close(line(detail))
    },
    fail: () => {
      close(line('FAILED'))
    },
  }
}

export function elapsed(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  return seconds < 60
    ? `${String(seconds)} s`
    : `${String(Math.floor(seconds / 60))} min ${String(seconds % 60)} s`
}
