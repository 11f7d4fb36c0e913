// What the thread that holds a model's session is asked and what it answers.

export type ElementType =
  | 'float32'
  | 'float64'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool'
  | 'string'

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | readonly string[]

export interface TensorValue {
  readonly name: string
  readonly type: ElementType
  readonly shape: readonly number[]
  readonly data: TensorData
}

/** An input or output of a model. A dimension that varies is -1. */
export interface TensorDescription {
  readonly name: string
  readonly type: ElementType
  readonly shape: readonly number[]
}

export interface ModelDescription {
  readonly inputs: readonly TensorDescription[]
  readonly outputs: readonly TensorDescription[]
}

export type ModelRequest =
  | { readonly id: number; readonly kind: 'load'; readonly bytes: Uint8Array }
  | {
      readonly id: number
      readonly kind: 'run'
      readonly inputs: readonly TensorValue[]
      readonly outputs: readonly string[]
    }

export type ModelReply =
  | { readonly id: number; readonly kind: 'loaded'; readonly description: ModelDescription }
  | { readonly id: number; readonly kind: 'ran'; readonly outputs: readonly TensorValue[] }
  | { readonly id: number; readonly kind: 'failed'; readonly message: string }

/** Given to the thread when it starts. */
export interface ModelThreadSettings {
  readonly role: 'model'
}
