import {Flags} from '@oclif/core'

import {storeArg} from '../base-command/store-command.js'
import {TwoStoresCommand} from '../base-command/two-stores-command.js'
import {refuseUnwritable} from '../cli/atomic-file.js'
import {copyProgressText} from '../cli/copies.js'
import {copyFlags, copyOptionsOf} from '../cli/copy-flags.js'
import {describe} from '../cli/describe.js'
import {shellCommand} from '../cli/format.js'
import {metricsFlag, writeMetrics} from '../cli/metrics.js'
import {mirrorMetrics, MirrorPrinter, mirrorSummaryLines} from '../cli/mirrors.js'
import {givenSecret} from '../cli/passphrase.js'
import {fromArg} from '../cli/two-stores.js'
import {NotFoundError} from '../errors.js'
import {EXIT} from '../exit-codes.js'
import {KlosetStore} from '../kloset/store.js'
import {isInFolder} from '../registry/reference.js'
import {type CopyProgress, MirrorLedger, mirrorStore, type MirrorSummary} from '../transfer/index.js'
import {systemClock} from '../util/clock.js'

export default class Mirror extends TwoStoresCommand {
  static override args = {from: fromArg, to: storeArg}

  static override description = describe(
    `Copies a store as \`copy\` does, for a timer: a ledger remembers what was brought when, and what the source had. It warns,
with exit code 65, when objects have gone from the source that plakar's maintenance has not deleted, which is how a registry's
retention rule eats a backup. Nothing is ever deleted at the target. A second run with the same ledger is refused (75).`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.alreadyExists,
    EXIT.partial,
    EXIT.unknownVersion,
  )

  static override examples = [
    {
      command:
        '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main oci://other.example/mirror/main --ledger /var/lib/kloset-oci/main.jsonl',
      description: 'every night',
    },
    {
      command:
        '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main oci-layout:/mnt/usb/main.oci --ledger ./main.jsonl --metrics /var/lib/node_exporter/mirror.prom',
      description: 'with metrics to watch its age by',
    },
  ]

  static override flags = {
    'accept-gone': Flags.boolean({
      description: 'take what has gone from the source as meant to: it is not told again, and stays at the target',
    }),
    ledger: Flags.string({
      description: 'file that remembers this mirror, one for each pair of stores; it is only appended to',
      helpValue: 'FILE',
      required: true,
    }),
    ...copyFlags,
    ...metricsFlag,
  }

  static override summary = 'copy a store on a schedule, and notice what has gone'

  async run(): Promise<MirrorSummary> {
    const {args, flags} = await this.parse(Mirror)
    const {durable, ledger: path, metrics} = flags
    await refuseUnwritable(metrics)
    const started = systemClock.now()
    return this.withBoth(args, flags, {create: true, durable}, async (from, to) => {
      if (!to) throw new NotFoundError(`${args.to}: no image layout there`)
      const ledger = await MirrorLedger.open(path, systemClock)
      try {
        const secret = await givenSecret(new KlosetStore(from), flags, this.signal)
        const progress = await this.startProgress(flags)
        const onProgress = (state: CopyProgress) => progress.update(copyProgressText(state))
        const acceptGone = flags['accept-gone']
        const options = {...copyOptionsOf(flags), acceptGone, onProgress, secret, signal: this.signal}
        const mirror = mirrorStore(from, to, ledger, options)
        const json = this.jsonEnabled() ? this.streamJson({from: from.location, to: to.location}, 'objects') : undefined
        const printer = new MirrorPrinter()
        for await (const event of mirror) {
          if (event.status !== 'present') await (json ? json.item(event) : printer.print(event))
        }

        progress.stop()
        await printer.end()
        const {summary} = mirror
        this.exitWith(summary.exitCode)
        const run = {finished: systemClock.now(), lastComplete: ledger.lastComplete, started}
        if (metrics !== undefined) {
          const told = mirrorMetrics(summary, from.location, to.location, run)
          await this.beside(async () => writeMetrics(metrics, told))
        }

        if (json) await this.endJson({...summary})
        else this.print(...mirrorSummaryLines(summary))
        if (summary.gone.unexplained > 0) {
          this.note(
            `next: ${shellCommand('kloset-oci', 'gc-check', args.from)}, and see ${
              isInFolder(from.location) ? 'what expires or cleans up files there' : "the registry's retention rules"
            }`,
          )
          this.note(`to bring it back: ${shellCommand('kloset-oci', 'copy', args.to, args.from)}`)
          this.note('when it was meant to be, run it again with --accept-gone')
        }

        this.tellLate()
        return summary
      } finally {
        await ledger.close()
      }
    })
  }
}
