import {storeArg, StoreCommand} from '../../base-command/store-command.js'
import {exitCodeOf, type Finding, verify, type VerifyProgress, type VerifySummary} from '../../checker/index.js'
import {refuseUnwritable} from '../../cli/atomic-file.js'
import {describe} from '../../cli/describe.js'
import {FindingPrinter} from '../../cli/findings.js'
import {humanCount, humanSize} from '../../cli/format.js'
import {metricsFlag, writeMetrics} from '../../cli/metrics.js'
import {givenSecret, passphraseFlags} from '../../cli/passphrase.js'
import {parseDuration} from '../../cli/quantities.js'
import {openLedger, selectionFlags, selectionOf} from '../../cli/verify-flags.js'
import {KeptFindings, ledgerMetrics, writeResult} from '../../cli/verify-output.js'
import {verifyLines} from '../../cli/verify-summary.js'
import {InvalidArgumentError} from '../../errors.js'
import {EXIT} from '../../exit-codes.js'
import {KlosetStore} from '../../kloset/store.js'

export default class Verify extends StoreCommand {
  static override args = {store: storeArg}

  static override description = describe(
    `Reads everything that a store has in a repository and proves it, as deep as the tier says, and changes nothing.
digest: every byte is what was written; no key is needed. mac: every object has the MAC that the store's key gives it, and
what says where things lie (configuration, states, the indexes of packfiles) is sound. data: every blob of every packfile
decodes to its own MAC, and every reference from one to another leads somewhere. Without --tier it is data, or digest for
an encrypted store whose passphrase is not given; which one it was is always said.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.auth,
    EXIT.partial,
    EXIT.unknownVersion,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --tier digest',
      description: 'near the data, without the key',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --passphrase-file key.txt',
      description: 'everything',
    },
    {
      command:
        '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --resume main.ledger --max-age 30d --max-duration 2h',
      description: 'every night for two hours: all of it once a month',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --shard 3/16 --result 3.json',
      description: 'the third of sixteen jobs; `verify merge *.json` puts their results together',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci-layout:./store.oci --json | jq .verdict',
      description: 'for a script',
    },
  ]

  static override flags = {
    ...selectionFlags,
    ...passphraseFlags,
    ...metricsFlag,
  }

  static override summary = "prove that a store's bytes, MACs and blobs are what they should be"

  async run(): Promise<VerifySummary> {
    const {args, flags} = await this.parse(Verify)
    const {metrics, result, resume, tier} = flags
    if (metrics !== undefined && resume === undefined) {
      throw new InvalidArgumentError('--metrics tells what a ledger says: give --resume as well')
    }

    for (const path of [metrics, result]) await refuseUnwritable(path)
    const selection = await selectionOf(flags, {now: Date.now(), signal: this.signal})
    const maxAge = flags['max-age'] === undefined ? undefined : parseDuration(flags['max-age'], '--max-age')
    return this.withRepository(args.store, flags, async (repository) => {
      const started = Date.now()
      const progress = await this.startProgress(flags)
      const onProgress = (state: VerifyProgress) => progress.update(progressText(state))
      const secret = tier === 'digest' ? undefined : await givenSecret(new KlosetStore(repository), flags, this.signal)
      const ledger = resume === undefined ? undefined : await openLedger(resume)
      try {
        const {concurrency} = flags
        const acceptGone = flags['accept-gone']
        const options = {
          ...selection,
          acceptGone,
          concurrency,
          ledger,
          maxAge,
          onProgress,
          secret,
          signal: this.signal,
          tier,
        }
        const run = verify(repository, options)
        const kept = await this.#show(run, repository.location)
        progress.stop()
        const {summary} = run
        this.exitWith(exitCodeOf(summary))
        if (result !== undefined) {
          const shard = selection.shard ?? {count: 1, index: 1}
          const when = {finished: Date.now(), started}
          const about = {...when, findings: kept, shard, store: repository.location}
          await this.beside(async () => writeResult(result, summary, about))
        }

        if (metrics !== undefined && ledger) {
          const told = ledgerMetrics(ledger, {now: Date.now(), store: repository.location})
          await this.beside(async () => writeMetrics(metrics, told))
        }

        const {findings: severities, ...rest} = summary
        if (this.jsonEnabled()) await this.endJson({...rest, severities})
        else this.print(...(kept.length > 0 ? [''] : []), ...verifyLines(summary))
        this.tellLate()
        return summary
      } finally {
        await ledger?.close()
      }
    })
  }

  /** Tells findings as they come. @returns the first of them */
  async #show(run: AsyncIterable<Finding>, store: string): Promise<readonly Finding[]> {
    const json = this.jsonEnabled() ? this.streamJson({store}, 'findings') : undefined
    const printer = new FindingPrinter()
    const kept = new KeptFindings()
    for await (const found of run) {
      kept.add(found)
      await (json ? json.item(found) : printer.print(found))
    }

    await printer.end()
    return kept.items
  }
}

function progressText({bytes, done, phase, total}: VerifyProgress): string {
  return `${phase}: ${humanCount(done)} of ${humanCount(total)}, ${humanSize(bytes)} read`
}
