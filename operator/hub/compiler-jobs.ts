// What goes between the hub and its compiler thread.
import type { CompiledTraining, PublishParts } from './compiler.ts'

export interface CompilerResults {
  admit: { readonly parameterCount: number }
  compile: CompiledTraining
  publish: Uint8Array
}

export type CompilerJob =
  | { readonly kind: 'admit'; readonly model: Uint8Array }
  | { readonly kind: 'compile'; readonly model: Uint8Array; readonly configuration: string }
  | ({ readonly kind: 'publish' } & PublishParts)

export type CompilerReply =
  | { readonly ok: true; readonly result: CompilerResults[CompilerJob['kind']] }
  | { readonly ok: false; readonly refused: boolean; readonly message: string }
