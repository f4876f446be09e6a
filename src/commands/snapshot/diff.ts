import {ContentsCommand, sourceFlag} from '../../base-command/contents-command.js'
import {storeArg} from '../../base-command/store-command.js'
import {textArg} from '../../cli/args.js'
import {paint} from '../../cli/colors.js'
import {describe} from '../../cli/describe.js'
import {entryJson, pathJson, shownPath} from '../../cli/entries.js'
import {humanCount} from '../../cli/format.js'
import {LineWriter} from '../../cli/output.js'
import {passphraseFlags} from '../../cli/passphrase.js'
import {splitSnapshotPath} from '../../cli/snapshot-path.js'
import {EXIT} from '../../exit-codes.js'
import {resolveSnapshot} from '../../kloset/catalog.js'
import {type StoreContents} from '../../kloset/contents.js'
import {type Change, type ChangeKind, diffSnapshots, findPath, lookupFound, rootOf} from '../../restore/index.js'

export interface SnapshotDiffResult {
  readonly after: string
  readonly before: string
  readonly count: number
  readonly counts: Readonly<Record<ChangeKind, number>>
  readonly store: string
}

const snapshotPathArg = (name: string, which: string) =>
  textArg({description: `the ${which} snapshot, and after a colon a path in it`, name, required: true})

export default class SnapshotDiff extends ContentsCommand {
  static override args = {
    store: storeArg,
    before: snapshotPathArg('ID[:PATH]', 'first'),
    after: snapshotPathArg('ID[:PATH]', 'second'),
  }

  static override description = describe(
    `Lists what differs between two snapshots, or between a folder of one and a folder of another: paths added (+), removed
(-), changed (M), and those of which only permissions, owner or time differ (m). Contents are compared by their MACs: nothing
of them is read. Differences are no error: the exit code is 0.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.unknownVersion,
    EXIT.closedPipe,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main 5f2c latest',
      description: 'what came since',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci-layout:./store.oci 5f2c:etc latest:etc --json',
      description: 'one folder only',
    },
  ]

  static override flags = {...passphraseFlags, source: sourceFlag}

  static override summary = 'list what differs between two snapshots'

  async run(): Promise<SnapshotDiffResult> {
    const {args, flags} = await this.parse(SnapshotDiff)
    return this.withContents(args.store, flags, async (contents) => {
      const before = await sideOf(contents, args.before, flags.source)
      const after = await sideOf(contents, args.after, flags.source)
      const head = {store: contents.store.location, before: before.id, after: after.id}
      const json = this.jsonEnabled() ? this.streamJson(head, 'changes') : undefined
      const writer = new LineWriter()
      const counts: Record<ChangeKind, number> = {added: 0, changed: 0, metadata: 0, removed: 0, unknown: 0}
      let count = 0
      for await (const change of diffSnapshots(before, after)) {
        counts[change.kind] += 1
        count += 1
        await (json ? json.item(changeJson(change)) : writer.line(changeLine(change)))
      }

      await writer.end()
      if (counts.unknown > 0) this.exitWith(EXIT.damage)
      if (json) await this.endJson({count, counts})
      else this.note(paint.dim(totals(counts)))
      return {...head, count, counts}
    })
  }
}

async function sideOf(contents: StoreContents, text: string, source: number) {
  const {id: prefix, path} = splitSnapshotPath(text)
  const id = await resolveSnapshot(contents, prefix)
  const snapshot = await contents.snapshot(id)
  const files = await snapshot.files(source)
  const found = await lookupFound(files, await findPath(files, await rootOf(snapshot, files, source), path))
  return {files, id, path: found.path}
}

function changeJson({after, before, kind, path, what}: Change) {
  return {
    ...pathJson(path),
    kind,
    ...(what.length > 0 && {what}),
    ...(before && {before: entryJson(before)}),
    ...(after && {after: entryJson(after)}),
  }
}

const MARKS: Readonly<Record<ChangeKind, string>> = {
  added: paint.green('+'),
  changed: paint.yellow('M'),
  metadata: paint.dim('m'),
  removed: paint.red('-'),
  unknown: paint.bold.red('?'),
}

function changeLine({kind, path, what}: Change): string {
  return `${MARKS[kind]} ${shownPath(path)}${what.length > 0 ? paint.dim(` (${what.join(', ')})`) : ''}`
}

function totals({added, changed, metadata, removed, unknown}: SnapshotDiffResult['counts']): string {
  const parts = [`${humanCount(added)} added`, `${humanCount(removed)} removed`, `${humanCount(changed)} changed`]
  if (metadata > 0) parts.push(`${humanCount(metadata)} in permissions, owner or time only`)
  if (unknown > 0) parts.push(`${humanCount(unknown)} that cannot be read`)
  return parts.join(', ')
}
