import {Flags} from '@oclif/core'

import {ContentsCommand} from '../../base-command/contents-command.js'
import {storeArg} from '../../base-command/store-command.js'
import {describe} from '../../cli/describe.js'
import {shownPath} from '../../cli/entries.js'
import {humanDuration, humanSize, plural, shellCommand, table} from '../../cli/format.js'
import {passphraseFlags} from '../../cli/passphrase.js'
import {parseMoment} from '../../cli/time-arg.js'
import {messageOf} from '../../errors.js'
import {EXIT} from '../../exit-codes.js'
import {type ListedSnapshot, listSnapshots, type SnapshotList} from '../../kloset/catalog.js'
import {systemClock} from '../../util/clock.js'

export interface SnapshotLsResult {
  readonly broken: readonly {readonly id: string; readonly message: string}[]
  readonly count: number
  readonly store: string
  /** States that could not be read. */
  readonly unreadableStates: number
}

export default class SnapshotLs extends ContentsCommand {
  static override args = {store: storeArg}

  static override description = describe(
    `Lists the snapshots of a store, the newest first, as plakar ls does: time, identifier, size, how long the backup took,
and what was backed up. The size is that of the files, before anything was shared and compressed.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.unknownVersion,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main',
      description: 'every snapshot',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --since 7d --tag nightly',
      description: 'those of the last week with a tag',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci-layout:./store.oci --latest --json | jq -r .snapshots[0].id',
      description: "the newest one's identifier, for a script",
    },
  ]

  static override flags = {
    ...passphraseFlags,
    before: Flags.string({description: 'only those older than this: a date, a time, or 7d', helpValue: 'TIME'}),
    latest: Flags.boolean({description: 'only the newest of those that are left'}),
    name: Flags.string({description: 'only those of this name', helpValue: 'NAME'}),
    since: Flags.string({description: 'only those of this time or newer: a date, a time, or 7d', helpValue: 'TIME'}),
    tag: Flags.string({
      description: 'only those with this tag; more than once for all of them',
      helpValue: 'TAG',
      multiple: true,
    }),
  }

  static override summary = 'list the snapshots of a store'

  async run(): Promise<SnapshotLsResult> {
    const {args, flags} = await this.parse(SnapshotLs)
    const moment = (flag: 'before' | 'since') =>
      flags[flag] === undefined ? undefined : parseMoment(`--${flag}`, flags[flag], systemClock.now())
    const filter = {
      before: moment('before'),
      latest: flags.latest,
      name: flags.name,
      since: moment('since'),
      tags: flags.tag,
    }
    return this.withContents(args.store, flags, async (contents) => {
      const list = await listSnapshots(contents, filter, flags.concurrency)
      const broken = list.broken.map(({error, id}) => ({id, message: messageOf(error)}))
      const result = {
        broken,
        count: list.snapshots.length,
        store: contents.store.location,
        unreadableStates: contents.unreadable.length,
      }
      if (broken.length > 0 || contents.unreadable.length > 0) this.exitWith(EXIT.damage)
      await this.#show(list, result)
      return result
    })
  }

  async #show({broken, snapshots}: SnapshotList, {store, ...rest}: SnapshotLsResult): Promise<void> {
    if (this.jsonEnabled()) {
      const json = this.streamJson({store}, 'snapshots')
      for (const one of snapshots) await json.item(one)
      await this.endJson({...rest})
      return
    }

    this.print(
      ...table(
        snapshots.map((one) => cells(one)),
        [{}, {}, {align: 'right'}, {align: 'right'}],
      ),
    )
    for (const {error, id} of broken) this.note(`warning: snapshot ${id}: ${messageOf(error)}`)
    if (snapshots.length === 0) this.note('no snapshot to show')
    if (broken.length > 0) {
      this.note(
        `${plural(broken.length, 'snapshot')} cannot be read; next: ${shellCommand('kloset-oci', 'verify', store)}`,
      )
    }
  }
}

function cells({duration, id, root, size, sources, tags, timestamp}: ListedSnapshot): string[] {
  const more = sources > 1 ? ` (and ${plural(sources - 1, 'more source')})` : ''
  const labels = tags.length > 0 ? ` [${tags.map((tag) => shownPath(tag)).join(', ')}]` : ''
  const time = timestamp.replace(/\.\d+Z$/, 'Z')
  return [time, id, humanSize(size), humanDuration(Math.round(duration) * 1000), `${shownPath(root)}${more}${labels}`]
}
