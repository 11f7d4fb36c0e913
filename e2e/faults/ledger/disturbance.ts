/*
 * What is done to a tree during a round: the hub is killed at random moments, when the first word of a delivery reaches it, and at the
 * commit; edge controllers are killed at random moments, at the first acknowledgement, and when a sum is ready to go; and at times
 * one is replaced. Whoever is killed comes back on its disk.
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CAMPAIGN } from '#federation/tier/testing/plans.ts'
import type { Dice } from './dice.ts'
import type { Ledger } from './ledger.ts'
import { nameOfSeat, type Seat, type Tree } from './tree.ts'

export interface DisturbanceSettings {
  readonly tree: Tree
  readonly round: number
  readonly ledger: Ledger
  readonly dice: Dice
  /** Kills of the hub, and of controllers, at random moments. */
  readonly kills: number
  /** Has the hub know who speaks for the zones now. */
  readonly plan: () => Promise<void>
  readonly counts: Tolls
  /** No further one once it is over. */
  readonly end: AbortSignal
}

export interface Tolls {
  hubKills: number
  controllerKills: number
  replacements: number
}

const REPLACED = 0.5
/** How a controller is lost. */
const LOSSES = {
  /** With its disk. */
  gone: 1,
  /** Nobody sees it, and it goes on. */
  running: 1,
  /** It comes back with all that it had. */
  returns: 1,
}

/** Fulfilled when the last one is over, at the latest soon after the end. */
export async function disturb(settings: DisturbanceSettings): Promise<void> {
  await Promise.all([killHub(settings), killControllers(settings)])
}

async function killHub({
  tree,
  round,
  ledger,
  dice,
  kills,
  counts,
  end,
}: DisturbanceSettings): Promise<void> {
  const own = dice.fork('hub')
  const folder = roundFolder(tree.hub.directory, round)
  const reached = (): boolean => ledger.acknowledgedByHub || existsSync(join(folder, 'tiers'))
  const moments = [
    ...Array.from({ length: kills }, () => () => pause(own.between(20, 500), end)),
    () => seen(reached, end),
    () => seen(() => existsSync(join(folder, 'commit.json')), end),
  ]
  for (const moment of moments) {
    await moment()
    if (end.aborted) return
    await tree.hub.kill()
    counts.hubKills += 1
    await tree.hub.start()
  }
}

async function killControllers(settings: DisturbanceSettings): Promise<void> {
  const { tree, round, ledger, dice, kills, counts, end } = settings
  if (tree.seats.length === 0) return
  const own = dice.fork('controllers')
  const kill = async (seat: Seat | undefined): Promise<void> => {
    if (!seat || end.aborted) return
    await seat.controller.kill()
    counts.controllerKills += 1
    await seat.controller.start()
  }
  const anyOne = (): Seat | undefined => tree.seats[own.integer(0, tree.seats.length - 1)]
  const acknowledged = (): Seat | undefined =>
    tree.seats.find((seat) => nameOfSeat(seat) === ledger.firstAcknowledgedBy)
  const readyToSend = (): Seat | undefined =>
    tree.seats.find(({ folder }) => existsSync(join(roundFolder(folder, round), 'outgoing', 'sum.json')))
  for (let count = 0; count < kills; count++) {
    await pause(own.between(20, 800), end)
    await kill(anyOne())
  }
  await seen(() => ledger.firstAcknowledgedBy !== undefined, end)
  await kill(acknowledged())
  if (own.chance(REPLACED)) {
    await pause(own.between(0, 300), end)
    if (!end.aborted) await replace(settings, own)
  }
  await seen(() => readyToSend() !== undefined, end)
  await kill(readyToSend())
}

async function replace({ tree, plan, counts }: DisturbanceSettings, dice: Dice): Promise<void> {
  const { before, next } = await tree.replace(dice.integer(0, tree.seats.length - 1))
  const loss = dice.pick(LOSSES)
  counts.replacements += 1
  if (loss !== 'running') await before.controller.kill()
  if (loss === 'gone') await rm(before.folder, { recursive: true, force: true })
  await Promise.all([plan(), next.controller.start()])
  if (loss === 'returns') await before.controller.start()
}

function roundFolder(volume: string, round: number): string {
  return join(volume, 'campaigns', CAMPAIGN, 'rounds', String(round))
}

async function pause(milliseconds: number, end: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal: end }).catch(() => undefined)
}

async function seen(happened: () => boolean, end: AbortSignal): Promise<void> {
  while (!happened() && !end.aborted) await pause(10, end)
}
