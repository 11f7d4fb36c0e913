// What a placeholder becomes in the printed template.
import { describe, expect, it } from 'vitest'
import { action, block, onlyIf, plain, templateOf, text } from './helm.ts'

const lines = (...all: string[]): string => `${all.join('\n')}\n`

describe('a manifest as a Helm template', () => {
  it.each([
    {
      name: 'prints plain values as YAML, quoted where YAML would read something else',
      manifest: {
        word: 'a',
        number: 1,
        truth: true,
        looksLikeTruth: 'true',
        looksLikeNumber: '1',
        empty: '',
      },
      want: lines(
        'word: a',
        'number: 1',
        'truth: true',
        'looksLikeTruth: "true"',
        'looksLikeNumber: "1"',
        'empty: ""',
      ),
    },
    {
      name: 'prints nested maps and lists',
      manifest: { a: { b: [{ c: 1, d: [2, 3] }, 'x'] }, none: {}, nothing: [] },
      want: lines(
        'a:',
        '  b:',
        '    - c: 1',
        '      d:',
        '        - 2',
        '        - 3',
        '    - x',
        'none: {}',
        'nothing: []',
      ),
    },
    {
      name: 'quotes keys that YAML would misread',
      manifest: { 'a: b': 1, true: 2 },
      want: lines('"a: b": 1', '"true": 2'),
    },
    {
      name: 'leaves an action unquoted and lets a text value quote itself',
      manifest: { a: action('.Release.Name'), b: text('logLevel'), c: plain('operator.replicas') },
      want: lines(
        'a: {{ .Release.Name }}',
        'b: {{ .Values.logLevel | quote }}',
        'c: {{ .Values.operator.replicas }}',
      ),
    },
    {
      name: 'indents a block of values by where it stands and omits it when it is empty',
      manifest: { spec: { pod: { tolerations: block('agent.tolerations') } } },
      want: lines(
        'spec:',
        '  pod:',
        '    {{- with .Values.agent.tolerations }}',
        '    tolerations:',
        '      {{- toYaml . | nindent 6 }}',
        '    {{- end }}',
      ),
    },
    {
      name: 'puts a condition around a field',
      manifest: { a: { b: onlyIf('.Values.x', { c: 1 }) } },
      want: lines('a:', '  {{- if .Values.x }}', '  b:', '    c: 1', '  {{- end }}'),
    },
    {
      name: 'puts a condition around a list item',
      manifest: { a: ['always', onlyIf('.Values.x', { c: action('.y') })] },
      want: lines('a:', '  - always', '  {{- if .Values.x }}', '  - c: {{ .y }}', '  {{- end }}'),
    },
    {
      name: 'lets the dash stand alone before a condition',
      manifest: { a: [{ b: onlyIf('.Values.x', 1), c: 2 }] },
      want: lines('a:', '  -', '    {{- if .Values.x }}', '    b: 1', '    {{- end }}', '    c: 2'),
    },
  ])('$name', ({ manifest, want }) => {
    expect(templateOf(manifest)).toBe(want)
  })
})
