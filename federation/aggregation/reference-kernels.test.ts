import { testKernels } from './kernels.case.ts'
import { referenceKernels } from './reference-kernels.ts'

testKernels('plain TypeScript', referenceKernels)
