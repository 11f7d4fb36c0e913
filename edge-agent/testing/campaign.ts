// A scripted campaign for tests of the training pod: a small compiled model as blobs of a test hub, rows that fit it, and
// a stream on which the test says what the hub says.
import { readFileSync } from 'node:fs'

import type { ServerDuplexStream, ServiceError } from '@grpc/grpc-js'

import {
  type CompiledModel,
  type Objective,
  type Personalization,
  compilePersonalized,
  readModel,
} from '#federation/training/index.ts'
import {
  type Assignment,
  type EvaluateAssignment,
  HoldoutSplit,
  type LocalTraining,
  type ParticipantMessage,
  type ParticipationServer,
  type TrainAssignment,
} from '#federation/wire/generated/tributary.ts'
import type { TestCertificate } from '#federation/wire/testing/certificate.ts'
import { TestHub } from '#federation/wire/testing/test-hub.ts'

export const LOCAL: LocalTraining = {
  epochs: 2,
  learningRate: 0.05,
  seed: 42,
  holdoutFraction: 0.25,
  holdoutSplit: HoldoutSplit.TAIL,
}

type Stream = ServerDuplexStream<ParticipantMessage, Assignment>

export class ScriptedCampaign {
  readonly hub: TestHub
  readonly messages: ParticipantMessage[] = []
  readonly compiled: CompiledModel
  readonly train: TrainAssignment
  streams = 0
  /** Ends every stream that is opened with this error, when set. */
  refusal: Partial<ServiceError> | undefined
  #stream: Stream | undefined
  #assignment: Assignment = { kind: { $case: 'idle', value: { reason: 'WaitingForRound' } } }

  private constructor(hub: TestHub, compiled: CompiledModel) {
    this.hub = hub
    this.compiled = compiled
    this.train = {
      round: 1,
      graphs: {
        manifest: hub.addBlob(Buffer.from(JSON.stringify(compiled.manifest))),
        trainingStep: hub.addBlob(compiled.trainingStep),
        evaluation: hub.addBlob(compiled.evaluation),
      },
      parameters: hub.addBlob(compiled.initialParameters),
      training: LOCAL,
      deadlineUnixMs: 1000,
      serverControl: undefined,
      measureInitialLoss: false,
      transfer: '{}',
      delta: undefined,
    }
  }

  /**
   * `personalization` is for parameters that stay on the node: no graphs of Ditto's are sent.
   * @param threads of the training pod; several divide each batch
   * @param tls of an edge controller, which takes the hub's place for those to whom it is introduced
   */
  static async start(
    objective: Objective = { type: 'Plain' },
    personalization?: Personalization,
    tls?: TestCertificate,
    threads = 1,
  ): Promise<ScriptedCampaign> {
    const file = new URL('../../federation/training/testdata/regression.onnx', import.meta.url)
    const configuration = {
      loss: { type: 'MeanSquaredError' },
      optimizer: { type: 'SGD' },
      batchSize: 8,
      threads,
      ...(threads > 1 && { update: 'Host' as const }),
    } as const
    const model = readModel(readFileSync(file))
    const { shared: compiled } = await compilePersonalized(
      model,
      { ...configuration, objective },
      personalization,
    )
    const late: { campaign?: ScriptedCampaign } = {}
    const participation: ParticipationServer = { participate: (stream) => late.campaign?.accept(stream) }
    late.campaign = new ScriptedCampaign(await TestHub.start({ participation }, tls), compiled)
    return late.campaign
  }

  /** Says this now, and first on every stream from now on. */
  assign(assignment: Assignment): void {
    this.#assignment = assignment
    this.#stream?.write(assignment)
  }

  /** Sends pods on to another campaign's server, as to an edge controller. */
  introduce(controller: ScriptedCampaign, epoch = 1): void {
    this.assign({ kind: { $case: 'parent', value: controller.hub.parent('north', epoch) } })
  }

  assignTraining(changes: Partial<TrainAssignment> = {}): void {
    this.assign({ kind: { $case: 'train', value: { ...this.train, ...changes } } })
  }

  assignEvaluation(changes: Partial<EvaluateAssignment> = {}): void {
    this.assign({ kind: { $case: 'evaluate', value: { ...this.train, ...changes } } })
  }

  finish(): void {
    this.assign({ kind: { $case: 'finished', value: { reason: 'Completed' } } })
  }

  said(kind: 'hello' | 'progress' | 'evaluation' | 'failure'): unknown[] {
    return this.messages.flatMap((message) => (message.kind?.$case === kind ? [message.kind.value] : []))
  }

  private accept(stream: Stream): void {
    this.streams += 1
    if (this.refusal) {
      stream.emit('error', this.refusal)
      return
    }
    this.#stream = stream
    stream.on('data', (message: ParticipantMessage) => this.messages.push(message))
    stream.on('error', () => {})
    stream.on('end', () => {
      stream.end()
    })
    stream.write(this.#assignment)
  }
}

/** Rows for the model of the campaign: four features, the labels `target` and `other`. */
export function rowsAsCsv(rows: number): string {
  const lines = ['a,b,target,c,d,other']
  for (let row = 0; row < rows; row++) {
    const [a, b, c, d] = [row % 3, row % 5, row % 7, row % 2].map((value) => value / 10)
    lines.push([a, b, a! - b!, c, d, c! + d!].join(','))
  }
  return lines.join('\n')
}
