/*
 * Training compiled from ONNX: read a plain model, compile it into a training step and an evaluation graph of
 * standard operators, run them, and write the result back as a plain model.
 *
 *   readModel → compileTraining → LocalTrainer.load → trainEpochs, evaluate → publishModel
 */
export { assertTrainable, compileTraining, type CompiledModel } from './compile.ts'
export {
  Loss,
  Optimizer,
  readConfiguration,
  TrainingConfiguration,
  type TrainingConfigurationInput,
} from './configuration.ts'
export { ModelError, TrainingDiverged } from './errors.ts'
export { Label, Metric, Parameter, readManifest, StateTensor, TrainingManifest } from './manifest.ts'
export { type Model, type ModelLimits, readModel } from './model.ts'
export { publishModel } from './publish.ts'
export { Random } from './random.ts'
export type {
  EvaluateRequest,
  EvaluateResult,
  EvaluationSums,
  Progress,
  TrainRequest,
  TrainResult,
} from './requests.ts'
export type { Samples } from './samples.ts'
export { LocalTrainer, metricsOf, type TrainerOptions, type TrainingArtifacts } from './session.ts'
export { type ModelReport, type ReportedTensor, reportModel } from './report.ts'
export { SUPPORTED_OPERATORS } from './operators/index.ts'
