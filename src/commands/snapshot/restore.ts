import {Flags} from '@oclif/core'

import {ContentsCommand, snapshotArg, sourceFlag} from '../../base-command/contents-command.js'
import {storeArg} from '../../base-command/store-command.js'
import {textArg} from '../../cli/args.js'
import {describe} from '../../cli/describe.js'
import {pathJson, shownPath} from '../../cli/entries.js'
import {humanCount, humanSize, plural, shellCommand} from '../../cli/format.js'
import {LineWriter} from '../../cli/output.js'
import {passphraseFlags} from '../../cli/passphrase.js'
import {EXIT} from '../../exit-codes.js'
import {restore, type RestoreProblem, type RestoreSummary} from '../../restore/index.js'

/** Whole systems have attributes by the ten thousand, and nothing of the content is missing for it. */
const MAX_ATTRIBUTE_LINES = 20

export interface SnapshotRestoreResult extends RestoreSummary {
  readonly id: string
  readonly store: string
  readonly target: string
}

export default class SnapshotRestore extends ContentsCommand {
  static override args = {
    store: storeArg,
    id: snapshotArg,
    path: textArg({
      description: 'only these, with what lies below: absolute, or from the folder that was backed up',
      multiple: true,
    }),
  }

  static override description = describe(
    `Restores a snapshot, or the given paths of it, into a folder, without plakar. What was backed up lies directly in that
folder, as plakar restore lays it; a path lies where it lay below the folder that was backed up. Every file is checked against
its MACs and appears whole or not at all, with its permissions and times (to the microsecond), and as root its owner; symbolic
and hard links are links again. Nothing is written outside the folder. A file that cannot be read any more is named and the
rest is restored (exit code 65). What is in the way is left and named (73); a file that is there with the right content is
no obstacle, so that the same command goes on where an interrupted one stopped. Devices, pipes and sockets are not restored,
and extended attributes neither, since Node.js has no call for them: they are named and counted.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.alreadyExists,
    EXIT.unknownVersion,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main latest --to ./restored',
      description: 'the newest snapshot',
    },
    {
      command:
        '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main 5f2c --to ./restored etc/hosts home',
      description: 'a file and a folder of one',
    },
    {
      command:
        '<%= config.bin %> <%= command.id %> oci-layout:./store.oci latest --to /srv/data --overwrite --passphrase-file key',
      description: 'over what is there, from an encrypted store',
    },
  ]

  static override flags = {
    ...passphraseFlags,
    overwrite: Flags.boolean({
      description: 'replace files and links that are in the way; folders never are',
      exclusive: ['skip-existing'],
    }),
    'skip-existing': Flags.boolean({description: 'leave whatever is there already, unread'}),
    'skip-owner': Flags.boolean({description: 'do not set owner and group (only root does)'}),
    'skip-permissions': Flags.boolean({description: 'do not set permissions, owner and group'}),
    source: sourceFlag,
    to: Flags.string({
      description: 'the folder to restore into, made where there is none',
      helpValue: 'DIR',
      required: true,
    }),
  }

  static override summary = 'restore files of a snapshot'

  async run(): Promise<SnapshotRestoreResult> {
    const {args, flags} = await this.parse(SnapshotRestore)
    const target = flags.to
    return this.withSnapshot({...args, source: flags.source}, flags, async ({contents, snapshot}) => {
      const progress = await this.startProgress(flags)
      const {identifier: id} = snapshot.header
      const owner = flags['skip-owner'] || flags['skip-permissions'] ? false : undefined
      const running = restore(contents, snapshot, {
        concurrency: flags.concurrency,
        existing: flags.overwrite ? 'overwrite' : flags['skip-existing'] ? 'keep' : 'refuse',
        onProgress: ({bytes, done}) => progress.update(() => `restored ${humanCount(done)}, ${humanSize(bytes)}`),
        owner,
        paths: args.path,
        permissions: !flags['skip-permissions'],
        signal: this.signal,
        source: flags.source,
        target,
      })
      const head = {store: contents.store.location, id, target}
      const json = this.jsonEnabled() ? this.streamJson(head, 'problems') : undefined
      const writer = new LineWriter()
      for await (const problem of running) {
        if (json) await json.item(problemJson(problem))
        else if (problem.kind !== 'attributes' || running.summary.withAttributes <= MAX_ATTRIBUTE_LINES) {
          progress.stop()
          await writer.line(problemLine(problem))
        }
      }

      await writer.end()
      const {summary} = running
      this.exitWith(exitCodeOf(summary))
      if (json) await this.endJson({...summary})
      else this.print(...summaryLines(summary, target))
      if (summary.damaged > 0) this.note(`next: ${shellCommand('kloset-oci', 'verify', args.store)}`)
      return {...head, ...summary}
    })
  }
}

function exitCodeOf({damaged, exists, failed}: RestoreSummary): number {
  if (damaged > 0) return EXIT.damage
  if (exists > 0) return EXIT.alreadyExists
  return failed > 0 ? EXIT.unexpected : EXIT.done
}

function problemJson({attributes, before, path, ...rest}: RestoreProblem) {
  return {
    ...pathJson(path),
    ...(attributes && {attributes: attributes.map((name) => shownPath(name))}),
    ...(before !== undefined && {before: shownPath(before)}),
    ...rest,
  }
}

function problemLine({attributes, before, kind, message, path}: RestoreProblem): string {
  if (attributes)
    return `warning  ${shownPath(path)}: ${message}: ${attributes.map((name) => shownPath(name)).join(', ')}`
  const until = before === undefined ? '' : before === '' ? ' and all behind it' : ` to ${shownPath(before)}`
  return `${kind.padEnd(7)}  ${shownPath(path)}${until}: ${message}`
}

function summaryLines(summary: RestoreSummary, target: string): string[] {
  const {bytes, damaged, exists, failed, files, folders, hardLinks, kept, links, special, unchanged} = summary
  const parts = [
    plural(files, 'file'),
    plural(folders, 'folder'),
    ...(links > 0 ? [plural(links, 'symbolic link')] : []),
    ...(hardLinks > 0 ? [plural(hardLinks, 'hard link')] : []),
  ]
  const lines = [`restored to ${shownPath(target)}: ${parts.join(', ')} (${humanSize(bytes)})`]
  const remark = (count: number, text: string) => {
    if (count > 0) lines.push(`${plural(count, 'path')} ${text}`)
  }

  if (unchanged > 0) lines.push(`${humanCount(unchanged)} of them were there already`)
  remark(kept, 'left as they were')
  remark(damaged, 'damaged or missing in the store')
  remark(exists, 'not restored: something else is there (--overwrite, --skip-existing)')
  remark(failed, 'refused by the file system')
  remark(special, 'not restored: devices, pipes or sockets')
  remark(summary.withAttributes, 'with extended attributes, which are not restored (--json names all of them)')
  return lines
}
