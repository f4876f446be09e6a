import {Flags} from '@oclif/core'

import type {Amount, BlobUsage, UsagePhase, UsageReport} from '../checker/index.js'

import {storeArg, StoreCommand} from '../base-command/store-command.js'
import {measureUsage} from '../checker/index.js'
import {describe} from '../cli/describe.js'
import {humanCount, humanSize, plural, shellCommand, table} from '../cli/format.js'
import {givenSecret, neededSecret, passphraseFlags} from '../cli/passphrase.js'
import {keepYoungGenerationSmall} from '../cli/young-generation.js'
import {EXIT} from '../exit-codes.js'
import {KlosetStore} from '../kloset/store.js'

export interface DuResult extends Omit<UsageReport, 'blobs'> {
  /** While a part of a snapshot cannot be read nothing is called unreachable, or one snapshot's alone. */
  readonly blobs: (Omit<BlobUsage, 'packfiles' | Whole> & Partial<Pick<BlobUsage, Whole>>) | undefined
  readonly store: string
}

/** What is known only when every snapshot was read to its end. */
type Whole = 'snapshots' | 'unreachable'

export default class Du extends StoreCommand {
  static override args = {store: storeArg}

  static override description = describe(
    `Adds up what a store takes in the registry, what of it is in use, and what can be had back and when: packfiles that
maintenance has marked and that wait for their time of grace, packfiles that no state knows, states of deleted snapshots, locks
that nobody holds, and where the backend can list it, what waits for the registry's own garbage collection. A request or two per
object. With --blobs the trees of all snapshots are gone through: what each snapshot alone has, blobs that no snapshot needs, and
blobs that are stored twice. Of an encrypted store without its passphrase only sizes by kind of object are told.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.unknownVersion,
  )

  static override examples = [
    {command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main', description: 'sizes'},
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --blobs --passphrase-file key',
      description: 'and what each snapshot alone takes',
    },
  ]

  static override flags = {
    blobs: Flags.boolean({
      description: 'go through the trees of all snapshots: unique, unreachable and duplicate blobs',
    }),
    ...passphraseFlags,
  }

  static override summary = 'add up what a store takes, and what can be had back'

  async run(): Promise<DuResult> {
    const {args, flags} = await this.parse(Du)
    if (!flags.blobs) keepYoungGenerationSmall()
    return this.withRepository(args.store, flags, async (repository) => {
      const {signal} = this
      const {blobs, concurrency} = flags
      const secretOf = blobs ? neededSecret : givenSecret
      const secret = await secretOf(new KlosetStore(repository), flags, signal)
      const progress = await this.startProgress(flags)
      const onProgress = (phase: UsagePhase, done: number) => progress.update(`${PHASES[phase]}: ${humanCount(done)}`)
      const report = await measureUsage(repository, {blobs, concurrency, onProgress, secret, signal})
      const {missing = 0, unreadable = 0} = report.inside ?? {}
      this.print(...lines(report, repository.location))
      if (report.broken + missing + unreadable + (report.blobs?.broken ?? 0) > 0) {
        this.exitWith(EXIT.damage)
        this.note(`next: ${shellCommand('kloset-oci', 'gc-check', args.store)}`)
      }

      return {store: repository.location, ...report, blobs: report.blobs && withoutPackfiles(report.blobs)}
    })
  }
}

function withoutPackfiles({broken, duplicate, padding, snapshots, unreachable, used}: BlobUsage): DuResult['blobs'] {
  return {broken, duplicate, padding, ...(broken === 0 && {snapshots, unreachable}), used}
}

const PHASES: Readonly<Record<UsagePhase, string>> = {
  objects: 'looking at objects',
  snapshots: 'going through snapshots',
  states: 'reading states',
  storage: 'looking through the storage',
}

function lines(
  {blobs, broken, foreign, inside, objects, staleLocks, storage, stored}: UsageReport,
  store: string,
): string[] {
  const rows: string[][] = [
    ['store', store],
    ['stored', humanSize(stored)],
    ...(['packfile', 'state', 'lock', 'config'] as const).map((name) => [`  ${name}s`, amount(objects[name])]),
  ]
  const row = (name: string, value: Amount | undefined) => {
    if (value && value.count > 0) rows.push([name, amount(value)])
  }

  if (inside) {
    const {coloured, deletedSnapshots, deletedStates, drops, live, logical, missing, snapshots, unknown, unreadable} =
      inside
    const ratio = stored > 0 ? `, ${(logical / stored).toFixed(1)} times what is stored` : ''
    rows.push(['logical', `${humanSize(logical)} in ${plural(snapshots, 'snapshot')}${ratio}`], ['live', amount(live)])
    row('marked', coloured)
    for (const drop of drops)
      rows.push([`  from ${drop.date.slice(0, 10)}`, `${amount(drop)} can go with plakar maintenance`])
    row('unknown', unknown)
    if (deletedSnapshots > 0) rows.push(['deleted', plural(deletedSnapshots, 'snapshot')])
    row('  states', deletedStates)
    if (unreadable > 0) rows.push(['not read', `${plural(unreadable, 'snapshot or state', 'snapshots and states')}`])
    if (missing > 0) rows.push(['missing', `${plural(missing, 'packfile')} that a state needs`])
  } else rows.push(['inside', 'unknown without the passphrase'])

  row('stale locks', staleLocks)
  if (blobs) {
    row('used blobs', blobs.used)
    if (blobs.broken === 0) row('unreachable', blobs.unreachable)
    row('duplicate', blobs.duplicate)
    row('padding', blobs.padding)
    for (const {id, unique} of blobs.broken === 0 ? blobs.snapshots : [])
      rows.push([`  ${id.slice(0, 12)}`, `${amount(unique)} that it alone has`])
    if (blobs.broken > 0) {
      const parts = `${plural(blobs.broken, 'part')} of snapshots could not be read`
      rows.push(['not seen', `${parts}: what no snapshot needs, or one alone, cannot be told`])
    }
  }

  if (storage) {
    row('untagged', storage.untaggedManifests)
    row('unreferenced', storage.unreferencedBlobs)
  } else rows.push(['registry', 'what waits for its garbage collection cannot be told: it does not list it'])

  if (foreign > 0) rows.push(['foreign', plural(foreign, 'tag')])
  if (broken > 0) rows.push(['broken', `${plural(broken, 'object')} cannot be read`])
  const [next] = inside?.drops ?? []
  rows.push(['next', next ? `${humanSize(next.bytes)} can go from ${next.date} on` : 'nothing is marked to go'])
  return table(rows)
}

function amount({bytes, count}: Amount): string {
  return `${humanSize(bytes)} in ${humanCount(count)}`
}
