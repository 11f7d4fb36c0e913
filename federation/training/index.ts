/*
 * Training compiled from ONNX: read a plain model, compile it into a training step and an evaluation graph of
 * standard operators, run them, and write the result back as a plain model.
 *
 *   readModel → compileTraining → LocalTrainer.load → trainEpochs, evaluate → publishModel
 */
export { assertTrainable, compileTraining, type CompiledModel } from './compile.ts'
export type {
  GradientClipping,
  Loss,
  Objective,
  Optimizer,
  TrainingConfiguration,
  TrainingConfigurationInput,
} from './configuration.ts'
export type { Constants } from './constants.ts'
export { ModelError, TrainingDiverged } from './errors.ts'
export {
  type Constant,
  type ConstantRole,
  type Label,
  type Metric,
  type Parameter,
  readManifest,
  type StateTensor,
  type TrainingManifest,
} from './manifest.ts'
export { TrainingMemory } from './memory.ts'
export { type Model, type ModelLimits, readModel } from './model.ts'
export { compilePersonalized, Personalization, type PersonalizedModel } from './personalization.ts'
export { publishModel } from './publish.ts'
export type { CompileReport, OperatorCount, ParameterKind, ReportedParameter } from './report.ts'
export type {
  EvaluateRequest,
  EvaluateResult,
  EvaluationSums,
  Progress,
  TrainRequest,
  TrainResult,
} from './requests.ts'
export type { Samples } from './samples.ts'
export { LocalTrainer, type TrainerOptions, type TrainingArtifacts } from './session.ts'
