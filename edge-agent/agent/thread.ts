// The thread of one loaded model. Importing this file does nothing but in a thread that was started for a model.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'

import type { ModelReply, ModelRequest, ModelThreadSettings } from './model-jobs.ts'
import { Session } from './session.ts'

function serveModel(port: MessagePort): void {
  let session: Session | undefined
  let turn: Promise<void> = Promise.resolve()
  port.on('message', (request: ModelRequest) => {
    turn = turn.then(async () => {
      port.postMessage(await answer(request))
    })
  })

  async function answer(request: ModelRequest): Promise<ModelReply> {
    const { id } = request
    try {
      if (request.kind === 'load') {
        session = await Session.load(request.bytes)
        return { id, kind: 'loaded', description: session.description }
      }
      if (!session) throw new Error('no model is loaded')
      return { id, kind: 'ran', outputs: await session.run(request.inputs, request.outputs) }
    } catch (error) {
      return { id, kind: 'failed', message: error instanceof Error ? error.message : String(error) }
    }
  }
}

const settings = workerData as Partial<ModelThreadSettings> | null
if (parentPort && settings?.role === 'model') serveModel(parentPort)
