/*
 * The registry: every operator that can be trained, by its ONNX name.
 */
import { activation } from './activation.ts'
import { arithmetic } from './arithmetic.ts'
import { convolution } from './convolution.ts'
import { dropout } from './dropout.ts'
import { groupNormalizations } from './group-normalization.ts'
import { matrix } from './matrix.ts'
import { normalization } from './normalization.ts'
import type { Operator } from './operator.ts'
import { pooling } from './pooling.ts'
import { reductions } from './reduction.ts'
import { resizing } from './resize.ts'
import { responseNormalization } from './response-normalization.ts'
import { shape } from './shape.ts'

export const OPERATORS: ReadonlyMap<string, Operator> = new Map(
  Object.entries({
    ...activation,
    ...arithmetic,
    ...convolution,
    ...dropout,
    ...groupNormalizations,
    ...matrix,
    ...normalization,
    ...pooling,
    ...reductions,
    ...resizing,
    ...responseNormalization,
    ...shape,
  }),
)

export const SUPPORTED_OPERATORS: readonly string[] = [...OPERATORS.keys()].sort()

/**
 * Operators that may also occur where nothing depends on the input or the parameters, as in the arithmetic on
 * shapes that exporters leave behind: they run once, at compile time. All are deterministic.
 */
export const FOLDABLE_OPERATORS: ReadonlySet<string> = new Set(
  (
    'Abs And Cast CastLike Ceil Constant ConstantOfShape CumSum Equal Exp Expand Floor Gather GatherElements ' +
    'GatherND Greater GreaterOrEqual Less LessOrEqual Log Max Min Mod Neg Not NonZero Or Pow Range Reciprocal ' +
    'ReduceMax ReduceMin ReduceProd Round ScatterND Shape Sign Size Slice Split Sqrt Tile Trilu Where'
  ).split(' '),
)
