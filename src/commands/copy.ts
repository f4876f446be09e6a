import {Flags} from '@oclif/core'

import {storeArg} from '../base-command/store-command.js'
import {TwoStoresCommand} from '../base-command/two-stores-command.js'
import {CopyPrinter, copyProgressText, copySummaryLines} from '../cli/copies.js'
import {copyFlags, copyOptionsOf} from '../cli/copy-flags.js'
import {describe} from '../cli/describe.js'
import {plural, shellCommand} from '../cli/format.js'
import {givenSecret, type PassphraseFlags} from '../cli/passphrase.js'
import {fromArg} from '../cli/two-stores.js'
import {InvalidArgumentError} from '../errors.js'
import {EXIT} from '../exit-codes.js'
import {type Secret} from '../kloset/codec/secret.js'
import {type Resource} from '../kloset/resource.js'
import {KlosetStore} from '../kloset/store.js'
import {type Repository} from '../registry/interfaces.js'
import {holdersOf} from '../repair/locks.js'
import {
  copyExitCode,
  type CopyProgress,
  copyStore,
  type CopySummary,
  deleteTargetOnly,
  type StoreCopy,
} from '../transfer/index.js'

export interface CopyResult extends CopySummary {
  /** Objects that only the target had and that were deleted, or would be; only with --delete. */
  readonly deletion?: {
    readonly applied: boolean
    readonly failed: number
    readonly objects: number
    /** Locks of the target that nobody holds: they block its maintenance, and not the deletion. */
    readonly staleLocks: number
  }
  readonly from: string
  readonly to: string
}

interface DeletionFlags extends PassphraseFlags {
  readonly resources: readonly Resource[] | undefined
  /** Where it was asked for already. */
  readonly secret: Secret | undefined
  readonly yes: boolean
}

export default class Copy extends TwoStoresCommand {
  static override args = {from: fromArg, to: storeArg}

  static override description = describe(
    `Copies a store into another repository, registry or directory, in any direction. What the target has is left alone, so
that an interrupted copy is simply run again. CONFIG goes first, then packfiles, then states: the target is a sound store at
any moment. Every byte is checked against its digest while it passes; manifests keep their digests. One bad object does not
end it: the others are copied, and the exit code tells (65 for a bad object, 75 when trying again may help). Locks stay where
they are unless --resource lock is given. A target that holds another store is refused.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.alreadyExists,
    EXIT.partial,
    EXIT.unknownVersion,
  )

  static override examples = [
    {
      command:
        '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main oci://other.example/mirror/main',
      description: 'registry to registry',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main oci-layout:/mnt/usb/main.oci',
      description: 'onto a disk that leaves the house',
    },
    {
      command:
        '<%= config.bin %> <%= command.id %> oci-layout:./main.oci oci://registry.example/backups/main --dry-run',
      description: 'what would be copied',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci://a.example/main oci://b.example/main --delete',
      description: 'copy, then say what only the target has; --yes deletes that',
    },
  ]

  static override flags = {
    delete: Flags.boolean({
      description: 'say what only the target has, of the kinds that are copied; with --yes delete it',
    }),
    'dry-run': Flags.boolean({description: 'say what would be copied, and write nothing'}),
    yes: Flags.boolean({char: 'y', dependsOn: ['delete'], description: 'delete what --delete names'}),
    ...copyFlags,
  }

  static override summary = 'copy a store into another repository'

  async run(): Promise<CopyResult> {
    const {args, flags} = await this.parse(Copy)
    const {'dry-run': dryRun = false, durable, yes = false} = flags
    if (dryRun && yes) throw new InvalidArgumentError('--dry-run and --yes: one writes nothing, the other deletes')
    return this.withBoth(args, flags, {create: !dryRun, durable}, async (from, to) => {
      const secret = flags.verify === 'mac' ? await givenSecret(new KlosetStore(from), flags, this.signal) : undefined
      const progress = await this.startProgress(flags)
      const onProgress = (state: CopyProgress) => progress.update(copyProgressText(state))
      const options = copyOptionsOf(flags)
      const copy = copyStore(from, to, {...options, dryRun, onProgress, secret, signal: this.signal})
      const json = this.jsonEnabled() ? this.streamJson({from: args.from, to: args.to}, 'objects') : undefined
      const printer = new CopyPrinter()
      const show = json ? async (item: unknown) => json.item(item) : printer.print.bind(printer)
      for await (const outcome of copy) if (outcome.status !== 'present') await show(outcome)
      const {summary} = copy
      this.exitWith(copyExitCode(summary))
      progress.stop()
      const deletion =
        flags.delete && to
          ? await this.#delete({copy, from, to}, {...flags, resources: options.resources, secret, yes}, show)
          : undefined
      await printer.end()
      if (json) await this.endJson({...summary, ...(deletion && {deletion})})
      else this.print(...(printer.hasPrinted ? [''] : []), ...copySummaryLines(summary, {deletion}))
      if (deletion && !deletion.applied && deletion.objects > 0) {
        this.note(`to delete them: ${shellCommand('kloset-oci', 'copy', args.from, args.to, '--delete', '--yes')}`)
      }

      if (deletion && deletion.staleLocks > 0) {
        const remove = shellCommand('kloset-oci', 'locks', 'rm', args.to)
        this.note(`${plural(deletion.staleLocks, 'lock')} of the target that nobody holds: ${remove} removes them`)
      }

      return {...summary, ...(deletion && {deletion}), from: args.from, to: args.to}
    })
  }

  async #delete(
    {copy, from, to}: {readonly copy: StoreCopy; readonly from: Repository; readonly to: Repository},
    {resources = ['packfile', 'state'], secret: known, yes, ...flags}: DeletionFlags,
    show: (item: never) => Promise<void>,
  ) {
    const {signal} = this
    let [failed, objects, staleLocks] = [0, 0, 0]
    const lookAtLocks = async () => {
      const secret = known ?? (await givenSecret(new KlosetStore(to), flags, signal))
      const {held, needsPassphrase, stale} = await holdersOf(to, {secret, signal})
      staleLocks = stale
      const advice = 'Whether they are stale is told with the passphrase (--passphrase-file).'
      return {...(needsPassphrase && {advice}), held}
    }

    for await (const outcome of deleteTargetOnly(copy, from, to, {apply: yes, lookAtLocks, resources, signal})) {
      objects += 1
      if (outcome.status === 'failed') failed += 1
      await show(outcome as never)
    }

    if (failed > 0) this.exitWith(EXIT.partial)
    return {applied: yes, failed, objects, staleLocks}
  }
}
