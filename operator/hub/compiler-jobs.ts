// What goes between the hub and its compiler thread.
import type {
  CompiledTraining,
  CompileSettings,
  DeltaParts,
  PublishParts,
} from '#federation/tier/compiler.ts'

export interface CompilerResults {
  admit: { readonly parameterCount: number }
  compile: CompiledTraining
  publish: Uint8Array
  delta: Uint8Array
}

export type CompilerJob =
  | { readonly kind: 'admit'; readonly model: Uint8Array }
  | { readonly kind: 'compile'; readonly model: Uint8Array; readonly settings: CompileSettings }
  | ({ readonly kind: 'publish' } & PublishParts)
  | ({ readonly kind: 'delta' } & DeltaParts)

export type CompilerReply =
  | { readonly ok: true; readonly result: CompilerResults[CompilerJob['kind']] }
  | { readonly ok: false; readonly refused: boolean; readonly message: string }
