// `make storm`: the long form of two stories. One campaign in peace, many under kills at random moments: all must end,
// with the same bits, and leave nothing. Then everything is restarted and nobody may write for five minutes.
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { progressTo } from '#e2e/cluster/progress.ts'
import type { Cluster } from '#e2e/cluster/cluster.ts'
import { EXAMPLE } from '#e2e/product/campaign-namespace.ts'
import { disturbed, undisturbed } from '#e2e/product/disturbed-campaigns.ts'
import { placeData } from '#e2e/product/example.ts'
import { operatorWrites, restartEverything } from '#e2e/product/idle.ts'
import { clusterUp, productUp } from '#e2e/product/up.ts'

const IDLE_MINUTES = 5

/** After a restart, statuses settle before the silence is measured. */
const SETTLE_MS = 20_000

const program = new Command('storm')
  .option('--campaigns <number>', 'campaigns under kills', '20')
  .option('--kills <number>', 'kills in each, at most', '5')
  .option('--seed <number>', 'seed of the first; the others count up', '1')
  .action(async (flags: { campaigns: string; kills: string; seed: string }) => {
    const progress = progressTo({
      isTTY: false,
      write: (text) => process.stderr.write(text),
      now: () => performance.now(),
    })
    const cluster = await clusterUp(progress)
    await productUp(cluster, progress)
    await placeData(cluster, EXAMPLE, 1)
    const wrong = await storm(cluster, Number(flags.campaigns), {
      seed: Number(flags.seed),
      kills: Number(flags.kills),
    })
    const writes = await idle(cluster)
    if (wrong > 0 || writes > 0) process.exitCode = 1
  })

async function storm(
  cluster: Cluster,
  campaigns: number,
  first: { seed: number; kills: number },
): Promise<number> {
  const want = await undisturbed(cluster, 'storm-calm')
  say(`in peace: ${want.digest}`)
  let wrong = 0
  for (let index = 0; index < campaigns; index++) {
    const seed = first.seed + index
    const verdict = await oneStorm(cluster, { seed, kills: first.kills }, want.digest)
    if (!verdict.right) wrong++
    say(`campaign ${index + 1} of ${campaigns}, seed ${seed}: ${verdict.text}`)
  }
  say(`${campaigns - wrong} of ${campaigns} campaigns under kills ended with the same bits and left nothing`)
  return wrong
}

async function oneStorm(
  cluster: Cluster,
  storm: { seed: number; kills: number },
  want: string,
): Promise<{ right: boolean; text: string }> {
  try {
    // New pods: Kubernetes makes one that crashed several times wait for minutes, which would only be waiting here.
    await restartEverything(cluster)
    const { digest, killed } = await disturbed(cluster, `storm-${storm.seed}`, storm)
    const right = digest === want
    return {
      right,
      text: `${right ? 'same bits' : `OTHER BITS ${digest}`}; killed ${killed.join(', ') || 'nothing'}`,
    }
  } catch (error) {
    return { right: false, text: `FAILED: ${error instanceof Error ? error.message : String(error)}` }
  }
}

async function idle(cluster: Cluster): Promise<number> {
  await restartEverything(cluster)
  await sleep(SETTLE_MS)
  const before = (await operatorWrites(cluster)).length
  await sleep(IDLE_MINUTES * 60_000)
  const writes = (await operatorWrites(cluster)).slice(before)
  say(`${writes.length} writes in ${IDLE_MINUTES} idle minutes after a restart of everything`)
  for (const write of writes) say(`  ${write}`)
  return writes.length
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

await program.parseAsync()
