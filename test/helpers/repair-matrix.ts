import type {ApplyResult, RepairPlan} from '../../src/repair/index.js'
import type {StoreDamage} from './store-damages.js'

import {tagOf} from '../../src/kloset/resource.js'
import {testMac} from './macs.js'
import {RepairRig} from './repair-rig.js'
import {DAMAGES, swapTags} from './store-damages.js'

/** What one cell of the matrix came to. */
export interface Cell {
  readonly outcome: 'healed' | 'nothing to do' | 'not possible' | 'partly'
  readonly text: string
}

export interface MatrixRow {
  readonly damage: StoreDamage
  readonly object: string
  readonly tagOf: (rig: RepairRig) => string
}

const SWAPPED: StoreDamage = {
  name: 'swapped with another of its kind',
  run(rig, tag) {
    const kind = tag.startsWith('state') ? 'state' : 'packfiles'
    swapTags(
      rig,
      tag,
      rig.tagsOf(kind).find((other) => other !== tag)!,
    )
  },
}

const EMPTIED: StoreDamage = {name: 'emptied', run: (rig, tag) => rig.editBlob(rig.layerOf(tag), () => Buffer.alloc(0))}

const packfileOf = (rig: RepairRig) => rig.tagsOf('packfiles').sort((a, b) => rig.size(b) - rig.size(a))[0]!
const stateOf = (rig: RepairRig) => rig.tagsOf('state').sort()[0]!

const LOCK = testMac(9)
const truncate = (rig: RepairRig, tag: string) => rig.editBlob(rig.layerOf(tag), (bytes) => bytes.subarray(0, 20))
const lose = (rig: RepairRig, tag: string) => rig.editBlob(rig.layerOf(tag), () => {})

/** Locks that lie in the store when it is damaged, and what becomes of them. */
const LOCKS: readonly (readonly [name: string, minutesAgo: number, damage?: StoreDamage['run']])[] = [
  ['stale', 30],
  ['fresh', 1],
  ['truncation, written long ago', 30, truncate],
  ['truncation, written just now', 1, truncate],
  ['missing blob, written long ago', 30, lose],
  ['missing blob, written just now', 1, lose],
]

function lockRow([name, minutesAgo, damage]: (typeof LOCKS)[number]): MatrixRow {
  return {
    damage: {
      name,
      async run(rig, tag) {
        await rig.putLock(LOCK, {exclusive: true, minutesAgo})
        await damage?.(rig, tag)
      },
    },
    object: 'lock',
    tagOf: () => tagOf('lock', LOCK),
  }
}

export const MATRIX: readonly MatrixRow[] = [
  ...[...DAMAGES, EMPTIED].map((damage) => ({damage, object: 'CONFIG', tagOf: () => 'CONFIG'})),
  ...[...DAMAGES, EMPTIED, SWAPPED].map((damage) => ({damage, object: 'packfile', tagOf: packfileOf})),
  ...[...DAMAGES, EMPTIED, SWAPPED].map((damage) => ({damage, object: 'state', tagOf: stateOf})),
  ...LOCKS.map((lock) => lockRow(lock)),
]

/** Damages a store, repairs it from some sources, and verifies it down to its last blob. */
export async function runCell(
  {damage, object, tagOf: tagIn}: MatrixRow,
  sources: (rig: RepairRig) => readonly string[],
): Promise<Cell> {
  const rig = new RepairRig('plaintext')
  await damage.run(rig, tagIn(rig))
  const plan = await rig.plan(sources(rig))
  if (plan.steps.length === 0 && plan.unfixable.length === 0) {
    const text =
      object === 'lock' ? 'left alone: it is held, and refuses the repair' : 'nothing to do: readers do not mind'
    return {outcome: 'nothing to do', text}
  }

  if (object === 'lock' && plan.steps.length === 0)
    return {outcome: 'nothing to do', text: 'left alone: it may be held'}
  const applied = plan.steps.length > 0 ? await rig.apply() : undefined
  return judge(rig, plan, applied)
}

async function judge(rig: RepairRig, plan: RepairPlan, applied: ApplyResult | undefined): Promise<Cell> {
  const kinds = [...new Set(plan.steps.map(({action}) => action.kind))].sort().map((kind) => `\`${kind}\``)
  const lost = lossOf(plan)
  if (!applied) return {outcome: 'not possible', text: `not possible: ${lost}`}
  if (applied.failed > 0) throw new Error(JSON.stringify(applied.steps))
  const {findings, summary} = await rig.verify()
  const errors = findings.filter(({severity}) => severity === 'error')
  const how = kinds.join(', ')
  if (plan.unfixable.length === 0) {
    if (summary.verdict !== 'clean' || errors.length > 0) throw new Error(JSON.stringify(errors))
    return {outcome: 'healed', text: `healed: ${how}`}
  }

  return {outcome: 'partly', text: `partly: ${how}; ${lost}`}
}

function lossOf({unfixable}: RepairPlan): string {
  const paths = new Set(unfixable.flatMap(({paths: list}) => list.map(({path, snapshot}) => `${snapshot} ${path}`)))
  const snapshots = new Set(unfixable.flatMap(({snapshots: list}) => (list === 'unknown' ? [] : list)))
  if (unfixable.some(({tag}) => tag === 'CONFIG')) return 'without CONFIG nothing can be read'
  if (paths.size === 0) return 'nothing that a snapshot needs is lost'
  return `${paths.size} ${paths.size === 1 ? 'path' : 'paths'} of ${snapshots.size} snapshots lost`
}
