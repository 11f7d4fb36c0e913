import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { formatHubAddress, parseHubAddress, tokenFromFile } from './endpoint.ts'

describe('parseHubAddress', () => {
  it.each([
    { given: 'hub.example.org:443', want: { host: 'hub.example.org', port: 443 } },
    { given: '192.0.2.10:30843', want: { host: '192.0.2.10', port: 30_843 } },
    { given: '[2001:db8::1]:8443', want: { host: '2001:db8::1', port: 8443 } },
  ])('reads $given, and writes it the same way', ({ given, want }) => {
    expect(parseHubAddress(given)).toEqual(want)
    expect(formatHubAddress(want)).toBe(given)
  })

  it.each([
    '',
    'hub',
    'hub:',
    ':443',
    'hub:0',
    'hub:65536',
    'https://hub:443',
    '2001:db8::1:443',
    'hub:44 3',
  ])('refuses %j and shows what is right', (given) => {
    expect(() => parseHubAddress(given)).toThrow(/expected host:port, such as 192\.0\.2\.10:30843/)
  })
})

describe('tokenFromFile', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'token-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true })
  })

  it('reads the file anew each time', async () => {
    const path = join(folder, 'token')
    const readToken = tokenFromFile(path)
    await writeFile(path, 'first\n')
    expect(await readToken()).toBe('first')
    await writeFile(path, 'second')
    expect(await readToken()).toBe('second')
  })

  it.each([
    { name: 'an empty file', content: '', want: /expected one bearer token/ },
    {
      name: 'two lines, which would be two headers',
      content: 'a\r\nx: b',
      want: /expected one bearer token/,
    },
    { name: 'a file without end', content: 'a'.repeat(64 * 1024 + 1), want: /more than 65536 bytes/ },
  ])('refuses $name', async ({ content, want }) => {
    const path = join(folder, 'token')
    await writeFile(path, content)
    await expect(tokenFromFile(path)()).rejects.toThrow(want)
  })
})
