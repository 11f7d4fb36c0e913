// What passes between the program that tries mutants and the process of each trial.

export interface TrialSettings {
  /** Name of the mutant; empty for the operator as it is. */
  mutant: string
  kubeconfig: string
  /** File with the golden runs of the operator as it is. */
  golden: string
  /** Tells this trial's namespaces from those of others. */
  prefix: string
  /** Plans at most. */
  plans: number
  patienceMs: number
  requestTimeoutMs: number
}

export interface Outcome {
  /** How many plans were run. */
  plans: number
  /** The plan that did not end well; absent when the mutant lives. */
  killedBy?: string
  how?: string
}
