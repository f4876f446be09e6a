import {Flags} from '@oclif/core'

import type {Found} from '../../restore/index.js'

import {ContentsCommand, type OpenedSnapshot, sourceFlag} from '../../base-command/contents-command.js'
import {storeArg} from '../../base-command/store-command.js'
import {textArg} from '../../cli/args.js'
import {describe} from '../../cli/describe.js'
import {entryCells, entryJson, pathJson, shownPath} from '../../cli/entries.js'
import {LineWriter} from '../../cli/output.js'
import {passphraseFlags} from '../../cli/passphrase.js'
import {splitSnapshotPath} from '../../cli/snapshot-path.js'
import {errorToJson, messageOf} from '../../errors.js'
import {EXIT} from '../../exit-codes.js'
import {isDirectory} from '../../kloset/snapshot/index.js'
import {findPath, lookupFound, walkBelow} from '../../restore/index.js'

export interface SnapshotTreeResult {
  /** Entries, or parts of the tree, that cannot be read. */
  readonly broken: number
  readonly count: number
}

export default class SnapshotTree extends ContentsCommand {
  static override args = {
    store: storeArg,
    id: textArg({
      description: 'a snapshot, and after a colon the path of a folder or file in it: ID, ID:etc, ID:/home/me',
      name: 'ID[:PATH]',
      required: true,
    }),
  }

  static override description = describe(
    `Lists what a snapshot has below a path, as ls -l does: one entry a line, with everything below folders, or the folder's
own entries only with --no-recursive. A path that does not begin with / is taken from the folder that was backed up. Nothing of
the files' contents is read.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.unknownVersion,
    EXIT.closedPipe,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main latest',
      description: 'everything in the newest snapshot',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci-layout:./store.oci 5f2c:etc --no-recursive',
      description: "one folder's own entries",
    },
  ]

  static override flags = {
    ...passphraseFlags,
    recursive: Flags.boolean({allowNo: true, default: true, description: 'what lies below folders as well'}),
    source: sourceFlag,
  }

  static override summary = 'list the files of a snapshot'

  async run(): Promise<SnapshotTreeResult> {
    const {args, flags} = await this.parse(SnapshotTree)
    const {id, path} = splitSnapshotPath(args.id)
    return this.withSnapshot({id, source: flags.source, store: args.store}, flags, async (opened) => {
      const {contents, files, root, snapshot} = opened
      const start = await findPath(files, root, path)
      const head = {store: contents.store.location, id: snapshot.header.identifier, root}
      await lookupFound(files, start)
      const json = this.jsonEnabled() ? this.streamJson(head, 'entries') : undefined
      const writer = new LineWriter()
      const result = {broken: 0, count: 0}
      for await (const found of this.#found(opened, start, flags.recursive)) {
        result.count += 1
        if (!found.entry) result.broken += 1
        await (json ? json.item(itemOf(found)) : writer.line(lineOf(found, start)))
      }

      await writer.end()
      if (result.broken > 0) this.exitWith(EXIT.damage)
      if (json) await this.endJson({...result})
      return result
    })
  }

  async *#found({files}: OpenedSnapshot, start: string, isRecursive: boolean): AsyncGenerator<Found> {
    const broken: Found[] = []
    const walk = walkBelow(files, start, {
      maxDepth: isRecursive ? undefined : 1,
      onBroken({error, from}) {
        broken.push({entry: undefined, error, mac: undefined, path: from ?? '/'})
      },
    })
    for await (const found of walk) {
      yield* broken.splice(0)
      if (found.path !== start || !found.entry || !isDirectory(found.entry)) yield found
    }

    yield* broken
  }
}

function itemOf({entry, error, path}: Found) {
  if (entry) return entryJson(entry)
  const {code, message} = errorToJson(error)
  return {...pathJson(path), error: {code, message}}
}

/** A stream needs fixed columns. */
function lineOf({entry, error, path}: Found, start: string): string {
  const name = path === start ? path.slice(path.lastIndexOf('/') + 1) : path.slice(start === '/' ? 1 : start.length + 1)
  if (!entry) return `?  ${shownPath(name)}: ${messageOf(error)}`
  const [mode = '', user = '', group = '', size = '', time = '', shown = ''] = entryCells(entry, name)
  return [mode, user.padEnd(8), group.padEnd(8), size.padStart(8), time, shown].join('  ')
}
