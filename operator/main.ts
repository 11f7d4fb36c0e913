// The cloud side's entry point: `operator` and `hub`. The only place here that reads the environment, the clock and
// chance, and that ends the process.
import { isMainThread } from 'node:worker_threads'
import { Command } from 'commander'
import { pino } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { createClock } from './kube/clock.ts'
import { hubEnvironment, operatorEnvironment } from './settings.ts'
import { startHub } from './start-hub.ts'
import { startOperator } from './start-operator.ts'

const program = new Command('tributary').description(
  'The cloud side of Tributary: federated learning as a Kubernetes resource',
)

program
  .command('operator')
  .description('reconcile FederatedRounds, EdgeModels and DeviceProfiles')
  .action(async () => {
    const environment = operatorEnvironment(process.env)
    const parts = processParts(environment.TRIBUTARY_LOG_LEVEL)
    const operator = await startOperator(environment, parts)
    onSignal(() => operator.stop())
    const reason = await operator.lost
    parts.log.error({ reason }, 'leadership lost')
    process.exit(1)
  })

program
  .command('hub')
  .description("keep the rounds' data, merge updates, publish and serve model versions")
  .action(async () => {
    const environment = hubEnvironment(process.env)
    const parts = processParts(environment.TRIBUTARY_LOG_LEVEL)
    const hub = await startHub(environment, { ...parts, threadEntry: new URL(import.meta.url) })
    onSignal(() => hub.close())
  })

function processParts(level: string) {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const clock = createClock({ now: () => Date.now(), monotonic: () => performance.now() })
  return { clock, random: Math.random, log: pino({ level }), registry }
}

/** A second signal, or a stop that takes longer than Kubernetes waits, ends the process at once. */
function onSignal(stop: () => Promise<void>): void {
  let stopping = false
  const handle = (): void => {
    if (stopping) process.exit(1)
    stopping = true
    setTimeout(() => process.exit(1), 20_000).unref()
    stop().then(
      () => process.exit(0),
      () => process.exit(1),
    )
  }
  process.on('SIGTERM', handle)
  process.on('SIGINT', handle)
}

// The compiler's threads start from this file, too, so that a bundle is one file.
if (isMainThread) await program.parseAsync()
else await import('./hub/compiler-thread.ts')
