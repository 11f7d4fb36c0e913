// What may not be merged: unawaited promises, forgotten cases, functions and files too long to read, and clocks, random
// numbers or environment variables read outside the entry files. Planted violations: e2e/architecture/lint.test.ts.
import comments from '@eslint-community/eslint-plugin-eslint-comments/configs'
import js from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'
import { branchesRule } from './e2e/architecture/branches-rule.mjs'

const ENVIRONMENT = {
  selector: "MemberExpression[object.name='process'][property.name='env']",
  message: 'The environment is read in main.ts only; take the value as a parameter.',
}
const CLOCK = [
  {
    selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
    message: 'The clock is read in main.ts only; take the time, or a clock, as a parameter.',
  },
  {
    selector: "NewExpression[callee.name='Date'][arguments.length=0]",
    message: 'The clock is read in main.ts only; take the time, or a clock, as a parameter.',
  },
]
const RANDOMNESS = {
  selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']",
  message: 'Random numbers come from a generator that the caller passes in.',
}
const PURE = [
  {
    selector: ':function[async=true]',
    message: 'A decision is a synchronous function of what was observed.',
  },
  { selector: 'AwaitExpression', message: 'A decision waits for nothing.' },
  { selector: 'ThrowStatement', message: 'A decision returns trouble as data.' },
]
const PURE_GLOBALS = [
  'process',
  'performance',
  'crypto',
  'fetch',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'console',
]

const PRODUCT = ['crds/**/*.ts', 'operator/**/*.ts', 'federation/**/*.ts', 'edge-agent/**/*.ts']
const TESTS = ['**/*.test.ts', '**/testing/**/*.ts', '**/*.case.ts', '**/contract.ts']
const ENTRIES = ['**/main.ts']

export default defineConfig(
  globalIgnores(['node_modules/', '.tributary/', 'dist/', 'coverage/', '**/generated/', 'charts/tributary/']),
  js.configs.recommended,
  comments.recommended,
  {
    rules: {
      '@eslint-community/eslint-comments/require-description': 'error',
      '@eslint-community/eslint-comments/no-unused-disable': 'error',
    },
  },
  {
    files: ['**/*.ts'],
    plugins: { tributary: { rules: { branches: branchesRule } } },
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: false }],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, allowDefaultCaseForExhaustiveSwitch: true },
      ],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      '@typescript-eslint/no-empty-function': ['error', { allow: ['arrowFunctions'] }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      eqeqeq: ['error', 'always'],
      'tributary/branches': ['error', 10],
      'max-depth': ['error', 3],
      'max-params': ['error', 4],
      'max-lines': ['error', { max: 300 }],
      'max-lines-per-function': ['error', { max: 60 }],
      'no-restricted-syntax': ['error', ENVIRONMENT],
    },
  },
  { files: PRODUCT, rules: { 'no-restricted-syntax': ['error', ENVIRONMENT, ...CLOCK, RANDOMNESS] } },
  {
    files: ['**/decide.ts'],
    rules: {
      'no-restricted-syntax': ['error', ENVIRONMENT, ...CLOCK, RANDOMNESS, ...PURE],
      'no-restricted-globals': ['error', ...PURE_GLOBALS],
    },
  },
  {
    files: ['**/decide.ts', '**/act.ts'],
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: false },
      ],
    },
  },
  { files: ENTRIES, rules: { 'no-restricted-syntax': 'off' } },
  { files: ['e2e/**/*.ts', 'examples/**/*.ts', 'bench/**/*.ts'], rules: { 'no-restricted-syntax': 'off' } },
  {
    files: TESTS,
    rules: {
      'max-lines': ['error', { max: 600 }],
      'max-lines-per-function': 'off',
      'no-restricted-syntax': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/require-await': 'off',
    },
  },
)
