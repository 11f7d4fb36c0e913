/* How this project has ONNX Runtime run compiled graphs. */
import type { InferenceSession } from 'onnxruntime-node'

/** @param threads within one operator */
export function sessionOptions(threads: number): InferenceSession.SessionOptions {
  return {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // Would hold all values of a run in one block, beside the arena of the first run: twice the memory, no time gained.
    enableMemPattern: false,
    // A thread that has nothing to do sleeps. Spinning would take the core that something else on the node needs.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
    logSeverityLevel: 3,
  }
}
