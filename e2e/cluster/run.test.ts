import { describe, expect, it } from 'vitest'
import { run, tryRun } from './run.ts'

describe('run', () => {
  it('passes arguments as they are, input, and added environment', async () => {
    const script = 'printf "%s|%s|%s" "$0" "$ADDED" "$(cat)"'
    const answer = await run('sh', ['-c', script, '$(false) ; *'], {
      input: 'in',
      environment: { ADDED: 'here' },
    })
    expect(answer).toBe('$(false) ; *|here|in')
  })

  it('says which command failed, how, and what it said', async () => {
    const failing = run('sh', ['-c', 'echo no such thing >&2; exit 3'])
    await expect(failing).rejects.toThrow(/^sh -c .*: exit code 3\nno such thing$/)
  })

  it('ends a command that takes too long', async () => {
    await expect(run('sleep', ['600'], { timeoutMs: 50 })).rejects.toThrow(
      /killed by SIGKILL \(time limit 50 ms\)/,
    )
  })

  it('says that a program is not there', async () => {
    await expect(run('no-such-program', [])).rejects.toThrow(/no-such-program: cannot start/)
    expect(await tryRun('no-such-program', [])).toBeUndefined()
  })
})
