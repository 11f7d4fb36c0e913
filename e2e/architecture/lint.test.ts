// The mistakes that lint must catch, planted in a throw-away checkout, and the neighbours that it must leave alone.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Sandbox, type Verdicts } from './sandbox.ts'

interface Case {
  readonly name: string
  readonly file: string
  readonly source: string
}

const lines = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => line(index)).join('\n')

const longFunction = `export function long(): void {\n${lines(60, (n) => `  use(${n})`)}\n}\n`
const branches = lines(11, (n) => `  if (x === ${n}) return ${n + 1}`)

const REFUSED: readonly (Case & { rule: string })[] = [
  {
    name: 'a promise that nobody awaits',
    file: 'operator/floating.ts',
    source: 'export function a(work: () => Promise<void>): void {\n  work()\n}\n',
    rule: '@typescript-eslint/no-floating-promises',
  },
  {
    name: 'a promise thrown away by void',
    file: 'operator/voided.ts',
    source: 'export function a(work: () => Promise<void>): void {\n  void work()\n}\n',
    rule: '@typescript-eslint/no-floating-promises',
  },
  {
    name: 'an unawaited promise in a test',
    file: 'operator/floating.test.ts',
    source: 'export function a(work: () => Promise<void>): void {\n  work()\n}\n',
    rule: '@typescript-eslint/no-floating-promises',
  },
  {
    name: 'a promise taken for its outcome',
    file: 'operator/condition.ts',
    source:
      'export function a(ready: () => Promise<boolean>): number {\n  if (ready()) return 1\n  return 0\n}\n',
    rule: '@typescript-eslint/no-misused-promises',
  },
  {
    name: 'an async function as a callback that nobody awaits',
    file: 'operator/callback.ts',
    source:
      'export const a = (names: string[], work: (name: string) => Promise<void>): void => names.forEach(async (n) => work(n))\n',
    rule: '@typescript-eslint/no-misused-promises',
  },
  {
    name: 'a forgotten case of a union',
    file: 'operator/union.ts',
    source:
      "export function a(kind: 'x' | 'y'): number {\n  switch (kind) {\n    case 'x':\n      return 1\n  }\n  return 2\n}\n",
    rule: '@typescript-eslint/switch-exhaustiveness-check',
  },
  {
    name: 'an action hidden behind a default',
    file: 'operator/act.ts',
    source:
      "export function a(kind: 'x' | 'y'): number {\n  switch (kind) {\n    case 'x':\n      return 1\n    default:\n      return 2\n  }\n}\n",
    rule: '@typescript-eslint/switch-exhaustiveness-check',
  },
  {
    name: 'an exported function without a return type',
    file: 'operator/boundary.ts',
    source: 'export function a(x: number) {\n  return x\n}\n',
    rule: '@typescript-eslint/explicit-module-boundary-types',
  },
  {
    name: 'any',
    file: 'operator/any.ts',
    source: 'export const a = (x: string): number => (JSON.parse(x) as any).length as number\n',
    rule: '@typescript-eslint/no-explicit-any',
  },
  {
    name: 'a function with too many branches',
    file: 'operator/branches.ts',
    source: `export function a(x: number): number {\n${branches}\n  return 0\n}\n`,
    rule: 'tributary/branches',
  },
  {
    name: 'a condition with too many parts',
    file: 'operator/parts.ts',
    source: `export const a = (x: number): boolean => ${Array.from({ length: 12 }, (_, n) => `x === ${n}`).join(' || ')}\n`,
    rule: 'tributary/branches',
  },
  {
    name: 'a function that is too long',
    file: 'operator/long.ts',
    source: `declare const use: (n: number) => void\n${longFunction}`,
    rule: 'max-lines-per-function',
  },
  {
    name: 'a file that is too long',
    file: 'operator/file.ts',
    source: lines(301, (n) => `export const a${n} = ${n}`),
    rule: 'max-lines',
  },
  {
    name: 'a test file that is too long',
    file: 'operator/file.test.ts',
    source: lines(601, (n) => `export const a${n} = ${n}`),
    rule: 'max-lines',
  },
  {
    name: 'five parameters',
    file: 'operator/parameters.ts',
    source:
      'export const a = (p: number, q: number, r: number, s: number, t: number): number => p + q + r + s + t\n',
    rule: 'max-params',
  },
  {
    name: 'four levels of blocks',
    file: 'operator/depth.ts',
    source:
      'export function a(x: number): number {\n  if (x > 1) {\n    if (x > 2) {\n      if (x > 3) {\n        if (x > 4) return 1\n      }\n    }\n  }\n  return 0\n}\n',
    rule: 'max-depth',
  },
  {
    name: 'a rule switched off without a reason',
    file: 'operator/disable.ts',
    source:
      '// eslint-disable-next-line @typescript-eslint/no-explicit-any\nexport const a = (x: any): unknown => x\n',
    rule: '@eslint-community/eslint-comments/require-description',
  },
  {
    name: 'the environment read outside main.ts',
    file: 'edge-agent/environment.ts',
    source: "export const a = process.env['HOME']\n",
    rule: 'no-restricted-syntax',
  },
  {
    name: 'the clock read outside main.ts',
    file: 'operator/clock.ts',
    source: 'export const a = (): number => Date.now()\n',
    rule: 'no-restricted-syntax',
  },
  {
    name: 'the current date made outside main.ts',
    file: 'federation/date.ts',
    source: 'export const a = (): Date => new Date()\n',
    rule: 'no-restricted-syntax',
  },
  {
    name: 'a random number made outside main.ts',
    file: 'federation/random.ts',
    source: 'export const a = (): number => Math.random()\n',
    rule: 'no-restricted-syntax',
  },
  {
    name: 'a decision that reads the clock',
    file: 'operator/federated-round/decide.ts',
    source: 'export const decide = (): number => Date.now()\n',
    rule: 'no-restricted-syntax',
  },
  {
    name: 'a decision that waits',
    file: 'operator/edge-model/decide.ts',
    source: 'export const decide = async (x: Promise<number>): Promise<number> => await x\n',
    rule: 'no-restricted-syntax',
  },
  {
    name: 'a decision that reads a timer',
    file: 'federation/tier/rounds/decide.ts',
    source: 'export const decide = (): number => performance.now()\n',
    rule: 'no-restricted-globals',
  },
]

const ALLOWED: readonly Case[] = [
  {
    name: 'an awaited promise',
    file: 'operator/awaited.ts',
    source: 'export async function a(work: () => Promise<void>): Promise<void> {\n  await work()\n}\n',
  },
  {
    name: 'the environment and the clock in main.ts',
    file: 'operator/main.ts',
    source: "export const a = [process.env['HOME'], Date.now(), new Date(), Math.random()]\n",
  },
  {
    name: 'a date made from a number',
    file: 'operator/timestamp.ts',
    source: 'export const a = (milliseconds: number): string => new Date(milliseconds).toISOString()\n',
  },
  {
    name: 'a rule switched off with a reason',
    file: 'operator/reason.ts',
    source:
      '// eslint-disable-next-line @typescript-eslint/no-explicit-any -- this format has no types\nexport const a: any = 1\n',
  },
  {
    name: 'a long test',
    file: 'operator/long.test.ts',
    source: `declare const use: (n: number) => void\n${longFunction}`,
  },
  {
    name: 'many reads of what may be absent',
    file: 'operator/absent.ts',
    source: `export const a = (x?: { y?: { z?: string } }): string => ${Array.from({ length: 12 }, (_, n) => `(x?.y?.z ?? '${n}')`).join(' + ')}\n`,
  },
  {
    name: 'many cases of a switch',
    file: 'operator/cases.ts',
    source: `export function a(x: number): number {\n  switch (x) {\n${lines(12, (n) => `    case ${n}:\n      return ${n * 2}`)}\n  }\n  return 0\n}\n`,
  },
  {
    name: 'generated code',
    file: 'federation/wire/generated/a.ts',
    source: 'export function a(x: any) {\n  return x\n}\n',
  },
]

const sandbox = new Sandbox()
let verdicts: Verdicts

beforeAll(async () => {
  for (const { file, source } of [...REFUSED, ...ALLOWED]) sandbox.write(file, source)
  verdicts = await sandbox.lint()
}, 120_000)
afterAll(() => sandbox.remove())

describe('lint refuses', () => {
  it.each(REFUSED)('$name', ({ file, rule }) => {
    expect(verdicts.get(file) ?? []).toContain(rule)
  })
})

describe('lint allows', () => {
  it.each(ALLOWED)('$name', ({ file }) => {
    expect(verdicts.get(file) ?? []).toEqual([])
  })
})
