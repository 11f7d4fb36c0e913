// `make demo`: from nothing to a prediction. A real cluster with edge nodes comes up, Tributary is installed by Helm,
// three kinds of manifest are applied, nodes train on their own data, the merged model is served by every node.
// Exit code 1 when any step falls short. The cluster stays up to look at; `make down` takes it away.
import { Command, Option } from 'commander'
import type { FederatedRoundStatus } from '#crds/federated-round.ts'
import type { Cluster } from '#e2e/cluster/cluster.ts'
import { progressTo } from '#e2e/cluster/progress.ts'
import type { Progress } from '#e2e/cluster/progress.ts'
import { waitForCompletion, waitForRollout } from '#e2e/product/campaign.ts'
import { applyManifests, applyModelFile, placeData } from '#e2e/product/example.ts'
import type { ExampleName, LabelledSample } from '#e2e/product/example.ts'
import { predictClasses } from '#e2e/product/inference.ts'
import { edgeNodes, namespaceManifest } from '#e2e/product/install.ts'
import { clusterUp, productUp, step } from '#e2e/product/up.ts'
import { compare, showComparison } from '../../examples/compare.ts'
import { openCampaign } from '../../examples/campaign.ts'
import { plot, table } from '../../examples/plot.ts'

/** Test samples that each agent is asked for. */
const QUESTIONS = 200

const CAMPAIGN_LIMIT_MS = 20 * 60_000

const program = new Command('demo')
  .addOption(
    new Option('--example <name>', 'which example').choices(['traffic', 'digits']).default('traffic'),
  )
  .option('--seed <number>', 'seed of the split of the data', '1')
  .action(async (flags: { example: ExampleName; seed: string }) => {
    const started = performance.now()
    const progress = progressTo({
      isTTY: process.stderr.isTTY,
      write: (text) => process.stderr.write(text),
      now: () => performance.now(),
    })
    const cluster = await clusterUp(progress)
    await productUp(cluster, progress)
    const test = await bringExample(cluster, flags.example, Number(flags.seed), progress)
    showRounds(await watchCampaign(cluster, flags.example))
    await showServing(cluster, flags.example, test)
    await showWhatItIsWorth(flags.example, Number(flags.seed))
    say(
      `\nDone in ${Math.round((performance.now() - started) / 1000)} s. Look around:\n  export KUBECONFIG=${cluster.kubeconfig}\n  kubectl get tributary --namespace=${flags.example}\nmake down takes the cluster away.`,
    )
  })

async function bringExample(
  cluster: Cluster,
  example: ExampleName,
  seed: number,
  progress: Progress,
): Promise<LabelledSample[]> {
  const namespace = example
  const test = await step(progress, "each node's own data onto that node", () =>
    placeData(cluster, example, seed),
  )
  await cluster.kubectl(['apply', '--filename=-'], { input: JSON.stringify(namespaceManifest(namespace)) })
  await step(progress, 'what an earlier demo left goes away', () =>
    cluster.kubectl(
      ['delete', 'federatedrounds,edgemodels', '--all', `--namespace=${namespace}`, '--timeout=120s'],
      { timeoutMs: 150_000 },
    ),
  )
  await step(progress, 'kubectl apply: DeviceProfile, EdgeModel, FederatedRound', async () => {
    await applyModelFile(cluster, example, namespace)
    await applyManifests(cluster, example, namespace)
  })
  return test
}

/**
 * Prints a line as `kubectl get fr -w` would, whenever one of its columns changes. Returns the accuracy of each round:
 * collected on the way, because a status keeps the last rounds only.
 */
async function watchCampaign(cluster: Cluster, example: ExampleName): Promise<number[]> {
  say(`\n$ kubectl get federatedrounds --namespace=${example} --watch`)
  say(columns(['NAME', 'PHASE', 'ROUND', 'UPDATES', 'METRIC', 'MODEL']))
  const accuracies: number[] = []
  let last = ''
  const ref = { namespace: example, name: example }
  await waitForCompletion(cluster, ref, CAMPAIGN_LIMIT_MS, (status) => {
    for (const { round, metrics } of status.history ?? [])
      accuracies[round - 1] = metrics['accuracy'] ?? Number.NaN
    const line = watchLine(example, status)
    if (line !== last) say(line)
    last = line
  })
  return accuracies
}

function watchLine(name: string, status: FederatedRoundStatus): string {
  const { phase = '', roundProgress = '', updatesProgress = '', metric = '', modelVersion = '' } = status
  const trouble = (status.participants ?? []).map(({ node, reason }) => `  ${node}: ${reason}`)
  return columns([name, phase, roundProgress, updatesProgress, metric, modelVersion]) + trouble.join('')
}

function columns(cells: string[]): string {
  return cells
    .map((cell) => cell.padEnd(12))
    .join('')
    .trimEnd()
}

function showRounds(values: number[]): void {
  const series = [{ name: 'accuracy', values }]
  say('\nFederated evaluation, on what each node held out, after each round:\n')
  say(`${table(series)}\n\n${plot(series)}`)
}

async function showServing(cluster: Cluster, example: ExampleName, test: LabelledSample[]): Promise<void> {
  const model = await waitForRollout(cluster, { namespace: example, name: example }, 180_000)
  say(`\n$ kubectl get edgemodels --namespace=${example}`)
  say((await cluster.kubectl(['get', 'edgemodels', `--namespace=${example}`])).trimEnd())
  const questions = test.slice(0, QUESTIONS)
  say(`\nEvery agent answers ${questions.length} samples that no node has trained on:`)
  for (const node of edgeNodes(cluster)) {
    const { classes, modelVersion } = await predictClasses(
      cluster,
      node,
      example,
      questions.map((sample) => sample.features),
    )
    const right = classes.filter((answer, index) => answer === questions[index]?.label).length
    say(`  ${node}: version ${modelVersion}, ${((100 * right) / questions.length).toFixed(1)} % right`)
    if (`v${modelVersion}` !== model.status?.latestVersion)
      throw new Error(
        `${node} answers with version ${modelVersion}, expected ${model.status?.latestVersion ?? ''}`,
      )
  }
}

async function showWhatItIsWorth(example: ExampleName, seed: number): Promise<void> {
  say(
    '\nThe same training elsewhere, by the same engine: every node alone, all data in one place, federated.',
  )
  showComparison(await compare(example, seed, await openCampaign(example)))
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`\nThe demo fell short: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
