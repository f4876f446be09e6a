import {expect} from 'chai'

import {withoutWaiting} from './disk.js'
import {type Death, Life} from './life.js'

/** The first request to die at: with a stride, which of all. */
const FIRST = Number(process.env['KLOSET_OCI_KILL_FIRST'] ?? 1)

/** Work that is killed at every request in turn. A world is made anew for each try. */
export interface KillTrial<World> {
  /** Directly after a death, the other side having come to rest: what must hold at any moment. */
  readonly afterDeath?: (world: World, point: string) => Promise<void>
  readonly begin: () => Promise<World>
  /** Everything that counts about the world, to be compared with what an uninterrupted run leaves. */
  readonly contents: (world: World) => Promise<unknown>
  /** Frees a world. */
  readonly end?: (world: World) => Promise<void>
  /** The work, its requests made through `life`. It throws when it is killed. */
  readonly work: (world: World, life: Life) => Promise<void>
}

export interface KillOptions {
  /** Default: all. */
  readonly deaths?: readonly Death[]
  /** Only every so many requests, for work of many. Default 1. */
  readonly stride?: number
}

/**
 * Runs the work once to its end; then kills it at request 1, 2, 3 … of a fresh world, looks, runs it again without a
 * death, and compares. @returns how many points of death were tried
 */
export async function killEverywhere<World>(
  trial: KillTrial<World>,
  {deaths = ['before', 'after'], stride = 1}: KillOptions = {},
): Promise<number> {
  return withoutWaiting(async () => eachPoint(trial, {deaths, stride}))
}

async function eachPoint<World>(
  trial: KillTrial<World>,
  {deaths, stride}: Readonly<Required<KillOptions>>,
): Promise<number> {
  const {contents: expected, requests} = await uninterrupted(trial)
  let tried = 0
  for (const death of deaths) {
    for (let at = FIRST; at <= requests; at += stride) {
      if (await once(trial, {at, death, expected})) tried += 1
    }
  }

  return tried
}

async function uninterrupted<World>({begin, contents, end, work}: KillTrial<World>) {
  const world = await begin()
  try {
    const life = new Life()
    await work(world, life)
    expect(life.count, 'requests of an uninterrupted run').to.be.greaterThan(0)
    return {contents: await contents(world), requests: life.count}
  } finally {
    await end?.(world)
  }
}

async function once<World>(
  {afterDeath, begin, contents, end, work}: KillTrial<World>,
  {at, death, expected}: {at: number; death: Death; expected: unknown},
): Promise<boolean> {
  const point = `killed ${death} request ${at}`
  const world = await begin()
  try {
    const life = new Life(at, death)
    const outcome = await work(world, life).then(
      () => 'done',
      () => 'died',
    )
    await life.settled()
    expect(outcome, point).to.equal(life.isOver ? 'died' : 'done')
    // Without such a death the run has ended: fewer requests than the first one took, or none with a body to cut.
    if (life.isOver) {
      await afterDeath?.(world, point)
      await work(world, new Life())
    }

    expect(await contents(world), `${point}, then run again`).to.deep.equal(expected)
    return life.isOver
  } finally {
    await end?.(world)
  }
}
