import {Flags} from '@oclif/core'

import {ContentsCommand, snapshotArg, sourceFlag} from '../../base-command/contents-command.js'
import {storeArg} from '../../base-command/store-command.js'
import {textArg} from '../../cli/args.js'
import {describe} from '../../cli/describe.js'
import {pathJson} from '../../cli/entries.js'
import {humanSize, plural} from '../../cli/format.js'
import {passphraseFlags} from '../../cli/passphrase.js'
import {destinationOf, STDOUT, writeContent} from '../../cli/sink.js'
import {InvalidArgumentError, StoreFormatError} from '../../errors.js'
import {EXIT} from '../../exit-codes.js'
import {kindOfMode} from '../../kloset/snapshot/index.js'
import {ContentReader, findPath, followLinks} from '../../restore/index.js'

export interface SnapshotCatResult {
  /** Where the bytes went. */
  readonly file: string
  readonly id: string
  readonly path: string
  readonly size: number
  readonly store: string
}

export default class SnapshotCat extends ContentsCommand {
  static override args = {
    store: storeArg,
    id: snapshotArg,
    path: textArg({
      description: 'the file: absolute, or from the folder that was backed up',
      name: 'PATH',
      required: true,
    }),
  }

  static override description = describe(
    `Writes the content of one file of a snapshot to standard output, or to a file. Every piece is checked against its MAC
before it is written, and the whole at the end: a wrong one ends in exit code 65, and a file of -o does not appear then.
Symbolic links are followed within the snapshot.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.unknownVersion,
    EXIT.closedPipe,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main latest etc/fstab',
      description: 'a file of the newest snapshot',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci-layout:./store.oci 5f2c /srv/db.dump -o db.dump',
      description: 'into a file',
    },
  ]

  static override flags = {
    ...passphraseFlags,
    output: Flags.string({
      char: 'o',
      description: 'write to this file, whole or not at all; - is standard output',
      helpValue: 'FILE',
    }),
    source: sourceFlag,
  }

  static override summary = 'write the content of a file of a snapshot'

  async run(): Promise<SnapshotCatResult> {
    const {args, flags} = await this.parse(SnapshotCat)
    const file = destinationOf(flags.output, {json: this.jsonEnabled()})
    return this.withSnapshot({...args, source: flags.source}, flags, async ({contents, files, root, snapshot}) => {
      const entry = await followLinks(files, await findPath(files, root, args.path))
      const kind = kindOfMode(entry.info.mode)
      if (kind !== 'file') throw new InvalidArgumentError(`${JSON.stringify(entry.path)}: is a ${kind}, not a file`)
      const object = await files.object(entry)
      if (!object && entry.info.size > 0) {
        throw new StoreFormatError(`${JSON.stringify(entry.path)}: no content is recorded for it`)
      }

      const reader = new ContentReader({hashers: contents.hashers, read: snapshot.read})
      const progress = await this.startProgress(flags)
      const told = (size: number) => progress.update(`read ${humanSize(size)}`)
      const size = await writeContent(file, object ? reader.content(object) : nothing(), told)
      if (file !== STDOUT) this.print(`wrote ${file} (${humanSize(size)}, ${plural(size, 'byte')})`)
      const id = snapshot.header.identifier
      return {file, id, ...pathJson(entry.path), size, store: contents.store.location}
    })
  }
}

async function* nothing(): AsyncGenerator<Buffer> {
  // An empty file.
}
