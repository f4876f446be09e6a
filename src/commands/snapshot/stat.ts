import {ContentsCommand, type OpenedSnapshot, snapshotArg, sourceFlag} from '../../base-command/contents-command.js'
import {storeArg} from '../../base-command/store-command.js'
import {textArg} from '../../cli/args.js'
import {describe} from '../../cli/describe.js'
import {type EntryJson, entryJson, modeText, shownPath} from '../../cli/entries.js'
import {humanCount, humanSize, plural, table} from '../../cli/format.js'
import {passphraseFlags} from '../../cli/passphrase.js'
import {EXIT} from '../../exit-codes.js'
import {describeSnapshot, type ListedSnapshot} from '../../kloset/catalog.js'
import {type Entry, kindOfMode} from '../../kloset/snapshot/index.js'
import {findPath} from '../../restore/index.js'

export interface SnapshotStatResult {
  /** Of a path: what it is, and the content's MACs. */
  readonly entry?: EntryJson & {
    readonly chunks?: number | undefined
    readonly contentMac?: string | undefined
    readonly contentType?: string | undefined
    readonly extendedAttributes: readonly string[]
    readonly object?: string | undefined
  }
  readonly snapshot: ListedSnapshot & {readonly context: Readonly<Record<string, string>>}
  readonly store: string
}

export default class SnapshotStat extends ContentsCommand {
  static override args = {
    store: storeArg,
    id: snapshotArg,
    path: textArg({description: 'a file or folder in it: absolute, or from the folder that was backed up'}),
  }

  static override description = describe(
    `Shows what is known of a snapshot, or of one path in it. Symbolic links are not followed.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.unknownVersion,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main latest',
      description: 'a snapshot',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main latest etc/fstab --json',
      description: 'a file in it',
    },
  ]

  static override flags = {...passphraseFlags, source: sourceFlag}

  static override summary = 'show what is known of a snapshot or of a path in it'

  async run(): Promise<SnapshotStatResult> {
    const {args, flags} = await this.parse(SnapshotStat)
    return this.withSnapshot({...args, source: flags.source}, flags, async (opened) => {
      const {contents, snapshot} = opened
      const context = Object.fromEntries(snapshot.header.context.map(({key, value}) => [key, value]))
      const listed = {...describeSnapshot(snapshot.header), context}
      const store = contents.store.location
      if (args.path === undefined) {
        this.print(...snapshotLines(listed))
        return {snapshot: listed, store}
      }

      const entry = await entryOf(opened, args.path)
      return {entry: entry.json, snapshot: listed, store, ...this.#shown(entry.lines)}
    })
  }

  #shown(lines: readonly string[]): object {
    this.print(...lines)
    return {}
  }
}

async function entryOf({files, root}: OpenedSnapshot, path: string) {
  const entry = await files.lookup(await findPath(files, root, path))
  const object = await files.object(entry)
  const json = {
    ...entryJson(entry),
    chunks: object?.chunks.length,
    contentMac: object?.contentMac,
    contentType: object?.contentType || undefined,
    extendedAttributes: entry.extendedAttributes,
    object: entry.object,
  }
  return {json, lines: entryLines(entry, json)}
}

function snapshotLines(one: SnapshotStatResult['snapshot']): string[] {
  const {context, directories, duration, errors, files, id, job, name, origin, root, size, sources, tags} = one
  return table([
    ['snapshot', id],
    ['time', one.timestamp],
    ['duration', `${duration}s`],
    ['root', shownPath(root)],
    ['origin', `${shownPath(origin)} (${shownPath(one.type)})`],
    ['files', `${humanCount(files)} in ${plural(directories, 'folder')}, ${humanSize(size)} (${plural(size, 'byte')})`],
    ['errors', humanCount(errors)],
    ['name', shownPath(name)],
    ...(job === '' ? [] : [['job', shownPath(job)]]),
    ...(tags.length === 0 ? [] : [['tags', tags.map((tag) => shownPath(tag)).join(', ')]]),
    ...(sources > 1 ? [['sources', humanCount(sources)]] : []),
    ...Object.entries(context).map(([key, value]) => ['context', `${shownPath(key)}: ${shownPath(value)}`]),
  ])
}

function entryLines({info}: Entry, json: NonNullable<SnapshotStatResult['entry']>): string[] {
  const {chunks, contentMac, contentType, extendedAttributes, gid, group, mode, mtime, path, size, target, uid, user} =
    json
  return table([
    ['path', path],
    ['kind', kindOfMode(info.mode)],
    ...(target === undefined ? [] : [['target', target]]),
    ['size', `${humanSize(size)} (${plural(size, 'byte')})`],
    ['mode', `${modeText(info.mode)} (${mode})`],
    ['owner', `${user ?? ''} (${uid}), ${group ?? ''} (${gid})`],
    ['time', mtime],
    ['links', humanCount(info.nlink)],
    ...(chunks === undefined ? [] : [['chunks', humanCount(chunks)]]),
    ...(contentMac === undefined ? [] : [['content', contentMac]]),
    ...(contentType === undefined ? [] : [['type', shownPath(contentType)]]),
    ...extendedAttributes.map((name) => ['attribute', shownPath(name)]),
  ])
}
