/*
 * A first look at a model's bytes, before anything is decoded: one pass over the protobuf wire format that
 * allocates nothing and counts what decoding would allocate. It bounds decoding's memory, refuses the parts of
 * ONNX that are not accepted, and ends on any input: every token moves forward or is an error.
 */
import { ModelError } from './errors.ts'

type Kind = Message | 'float' | 'integer' | { refuse: string }
type Message = ReadonlyMap<number, Kind>

const refuse = (what: string): Kind => ({ refuse: what })

/** A message of which only the fields are counted. */
const LEAF: Message = new Map<number, Kind>()
const SHAPE: Message = new Map<number, Kind>([[1, LEAF]])
const TENSOR_TYPE: Message = new Map<number, Kind>([[2, SHAPE]])
const TYPE: Message = new Map<number, Kind>([
  [1, TENSOR_TYPE],
  [4, 'integer'],
  [5, 'integer'],
  [8, 'integer'],
  [9, 'integer'],
])
const VALUE_INFO: Message = new Map<number, Kind>([
  [2, TYPE],
  [4, LEAF],
])
const TENSOR: Message = new Map<number, Kind>([
  [1, 'integer'],
  [3, LEAF],
  [4, 'float'],
  [5, 'integer'],
  [7, 'integer'],
  [10, 'float'],
  [11, 'integer'],
  [13, refuse('external data: store the weights in the file itself')],
  [16, LEAF],
])
const ATTRIBUTE: Message = new Map<number, Kind>([
  [5, TENSOR],
  [6, refuse('a subgraph (control flow such as If, Loop or Scan)')],
  [7, 'float'],
  [8, 'integer'],
  [10, TENSOR],
  [11, refuse('subgraphs (control flow such as If, Loop or Scan)')],
  [14, TYPE],
  [15, TYPE],
  [22, refuse('a sparse tensor')],
  [23, refuse('sparse tensors')],
])
const NODE: Message = new Map<number, Kind>([
  [5, ATTRIBUTE],
  [9, LEAF],
  [10, 'integer'],
])
const GRAPH: Message = new Map<number, Kind>([
  [1, NODE],
  [5, TENSOR],
  [11, VALUE_INFO],
  [12, VALUE_INFO],
  [13, VALUE_INFO],
  [14, 'integer'],
  [16, LEAF],
  [15, refuse('sparse initializers: store them as dense tensors')],
])
const MODEL: Message = new Map<number, Kind>([
  [7, GRAPH],
  [8, LEAF],
  [14, LEAF],
  [26, 'integer'],
  [20, refuse('training_info: give the inference model')],
  [25, refuse('model-local functions: export with functions inlined')],
])

export interface ScanLimits {
  /** Numbers in float_data, float attributes and the like (8 bytes each once decoded). */
  floats: number
  /** Fields, submessages and integers in lists (tens of bytes each once decoded). */
  tokens: number
}

export function scanModel(bytes: Uint8Array, limits: ScanLimits): void {
  new Scanner(bytes, limits).message(MODEL, 0, bytes.length)
}

class Scanner {
  private position = 0
  private floats = 0
  private tokens = 0
  private readonly bytes: Uint8Array
  private readonly limits: ScanLimits

  constructor(bytes: Uint8Array, limits: ScanLimits) {
    this.bytes = bytes
    this.limits = limits
  }

  message(kinds: Message | undefined, start: number, end: number): void {
    this.position = start
    while (this.position < end) {
      const tag = this.varint(end)
      const field = Math.floor(tag / 8)
      if (field === 0) throw notProtobuf(this.position)
      this.count('tokens', 1)
      this.field(kinds?.get(field), tag % 8, end)
    }
  }

  private field(kind: Kind | undefined, wireType: number, end: number): void {
    if (typeof kind === 'object' && 'refuse' in kind) {
      throw new ModelError(`the model has ${kind.refuse}; that is not supported`)
    }
    if (wireType === 0) this.varint(end)
    else if (wireType === 1) this.skip(8, end)
    else if (wireType === 5) this.skip(4, end)
    else if (wireType === 2) this.delimited(kind, end)
    else throw notProtobuf(this.position)
  }

  private delimited(kind: Kind | undefined, end: number): void {
    const length = this.varint(end)
    const start = this.position
    this.skip(length, end)
    const after = this.position
    if (kind === 'float') this.count('floats', Math.ceil(length / 4))
    else if (kind === 'integer') this.count('tokens', length)
    else if (kind instanceof Map) this.message(kind, start, after)
    this.position = after
  }

  private skip(length: number, end: number): void {
    if (length > end - this.position) throw notProtobuf(this.position)
    this.position += length
  }

  private varint(end: number): number {
    let value = 0
    for (let i = 0; i < 10; i++) {
      if (this.position >= end) throw notProtobuf(this.position)
      const byte = this.bytes[this.position++] ?? 0
      value += (byte & 0x7f) * 2 ** (7 * i)
      if (byte < 0x80) return value
    }
    throw notProtobuf(this.position)
  }

  private count(what: 'floats' | 'tokens', by: number): void {
    this[what] += by
    if (this[what] > this.limits[what]) {
      const item = what === 'floats' ? 'numbers outside raw_data' : 'fields and integers'
      throw new ModelError(`the model has more than ${this.limits[what]} ${item}, the limit`)
    }
  }
}

function notProtobuf(position: number): ModelError {
  return new ModelError(`the bytes are not an ONNX model: no valid protobuf at byte ${position}`)
}
