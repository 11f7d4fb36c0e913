// Programs that compute vectors element by element in one pass over memory: a block of each vector goes through all
// instructions while it is in the nearest cache. Each instruction rounds its result to float32, so that every
// implementation gives the same bits, and the bits of the same operators in ONNX Runtime.

/** What an instruction does with its operands; the number stands for it in a program's code. */
export const OPERATIONS = ['Add', 'Sub', 'Mul', 'Div', 'Sqrt', 'Relu', 'Sign', 'Copy'] as const
export type Operation = (typeof OPERATIONS)[number]

/** Numbers of an instruction: the operation, where the result goes, the left and the right operand. */
export const INSTRUCTION = 4
/** Elements of a vector that go through the program together. */
const BLOCK = 2048

export interface ElementwiseProgram {
  /** Vectors of equal length that the program reads and changes. */
  readonly vectors: number
  /** Intermediate results that are alive together. */
  readonly registers: number
  readonly scalars: number
  /**
   * INSTRUCTION numbers for each instruction. A place from 0 on is a vector, and after the vectors a register; a scalar is
   * -1 minus its index and is never a result. Operations with one operand repeat it.
   */
  readonly code: Int32Array
}

/** Runs the program on all elements of the vectors, from `Kernels.runElementwise`, which says more. */
export function runElementwise(
  program: ElementwiseProgram,
  scalars: Float32Array,
  vectors: readonly Float32Array[],
): void {
  const { code, registers } = program
  const length = vectors[0]?.length ?? 0
  const scratch = Array.from({ length: registers }, () => new Float32Array(BLOCK))
  const constants = Array.from(scalars, (scalar) => new Float32Array(BLOCK).fill(scalar))
  for (let start = 0; start < length; start += BLOCK) {
    const end = Math.min(start + BLOCK, length)
    const places = [...vectors.map((vector) => vector.subarray(start, end)), ...scratch]
    const place = (index: number): Float32Array =>
      (index < 0 ? constants[-1 - index] : places[index]) as Float32Array
    for (let at = 0; at < code.length; at += INSTRUCTION) {
      const number = (index: number): number => code[at + index] as number
      const operands = { left: place(number(2)), right: place(number(3)), count: end - start }
      apply(OPERATIONS[number(0)] as Operation, place(number(1)), operands)
    }
  }
}

interface Operands {
  readonly left: Float32Array
  readonly right: Float32Array
  readonly count: number
}

/* eslint-disable @typescript-eslint/no-non-null-assertion -- within the block; a check would cost as much as the sum */
function apply(operation: Operation, into: Float32Array, { left, right, count }: Operands): void {
  switch (operation) {
    case 'Add':
      for (let i = 0; i < count; i++) into[i] = left[i]! + right[i]!
      break
    case 'Sub':
      for (let i = 0; i < count; i++) into[i] = left[i]! - right[i]!
      break
    case 'Mul':
      for (let i = 0; i < count; i++) into[i] = left[i]! * right[i]!
      break
    case 'Div':
      for (let i = 0; i < count; i++) into[i] = left[i]! / right[i]!
      break
    default:
      applyToOne(operation, into, { left, right, count })
  }
}

function applyToOne(
  operation: Exclude<Operation, 'Add' | 'Sub' | 'Mul' | 'Div'>,
  into: Float32Array,
  { left, count }: Operands,
): void {
  switch (operation) {
    case 'Sqrt':
      for (let i = 0; i < count; i++) into[i] = Math.sqrt(left[i]!)
      break
    case 'Relu':
      for (let i = 0; i < count; i++) into[i] = left[i]! > 0 ? left[i]! : 0
      break
    case 'Sign':
      for (let i = 0; i < count; i++) into[i] = Number(left[i]! > 0) - Number(left[i]! < 0)
      break
    case 'Copy':
      for (let i = 0; i < count; i++) into[i] = left[i]!
      break
  }
}
/* eslint-enable @typescript-eslint/no-non-null-assertion -- to the end of the loops */
