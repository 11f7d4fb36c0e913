/*
 * The registry: every operator that can be trained, by its ONNX name.
 */
import { activation } from './activation.ts'
import { arithmetic } from './arithmetic.ts'
import { convolution } from './convolution.ts'
import { depth } from './depth.ts'
import { dropout } from './dropout.ts'
import { einsum } from './einsum.ts'
import { gathers } from './gather.ts'
import { groupNormalizations } from './group-normalization.ts'
import { layerNormalizations } from './layer-normalization.ts'
import { logic } from './logic.ts'
import { matrix } from './matrix.ts'
import { normalization } from './normalization.ts'
import type { Operator } from './operator.ts'
import { pads } from './pad.ts'
import { pointwise } from './pointwise.ts'
import { pooling } from './pooling.ts'
import { rectifier } from './rectifier.ts'
import { recurrent } from './recurrent.ts'
import { reductions } from './reduction.ts'
import { repeat } from './repeat.ts'
import { resizing } from './resize.ts'
import { responseNormalization } from './response-normalization.ts'
import { scan } from './scan.ts'
import { selection } from './selection.ts'
import { shape } from './shape.ts'
import { slices } from './slice.ts'
import { smooth } from './smooth.ts'

export const OPERATORS: ReadonlyMap<string, Operator> = new Map(
  Object.entries({
    ...activation,
    ...arithmetic,
    ...convolution,
    ...depth,
    ...dropout,
    ...einsum,
    ...gathers,
    ...groupNormalizations,
    ...layerNormalizations,
    ...logic,
    ...matrix,
    ...normalization,
    ...pads,
    ...pointwise,
    ...pooling,
    ...rectifier,
    ...recurrent,
    ...reductions,
    ...repeat,
    ...resizing,
    ...responseNormalization,
    ...scan,
    ...selection,
    ...shape,
    ...slices,
    ...smooth,
  }),
)

export const SUPPORTED_OPERATORS: readonly string[] = [...OPERATORS.keys()].sort()

/**
 * Operators that may also occur where nothing depends on the input or the parameters, as in the arithmetic on
 * shapes that exporters leave behind: they run once, at compile time. All are deterministic.
 */
export const FOLDABLE_OPERATORS: ReadonlySet<string> = new Set(
  (
    'Acos Acosh Asin Asinh Atan Atanh BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BitShift Compress Constant ' +
    'ConstantOfShape Cosh EyeLike Hardmax NonZero Range Shape Sinh Size Tan Unique'
  ).split(' '),
)
