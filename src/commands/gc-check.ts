import {Flags} from '@oclif/core'

import {storeArg, StoreCommand} from '../base-command/store-command.js'
import {type CheckProgress, type CheckSummary, exitCodeOf, type Finding, gcCheck} from '../checker/index.js'
import {refuseUnwritable} from '../cli/atomic-file.js'
import {checkMetrics} from '../cli/check-metrics.js'
import {describe} from '../cli/describe.js'
import {FindingPrinter, summaryLines} from '../cli/findings.js'
import {humanCount, humanSize} from '../cli/format.js'
import {metricsFlag, writeMetrics} from '../cli/metrics.js'
import {givenSecret, passphraseFlags} from '../cli/passphrase.js'
import {keepYoungGenerationSmall} from '../cli/young-generation.js'
import {EXIT} from '../exit-codes.js'
import {KlosetStore} from '../kloset/store.js'
import {systemClock} from '../util/clock.js'

export default class GcCheck extends StoreCommand {
  static override args = {store: storeArg}

  static override description = describe(
    `Looks at every tag of a store and at what it leads to, and changes nothing: what a garbage collection, the registry's or
plakar's, has taken or left behind. It goes on after the first finding and ends with a summary and the next steps, the least
destructive first. No passphrase is needed; with it, MACs, locks and states of an encrypted store are read too.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.unknownVersion,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main',
      description: 'presence and sizes: a request or two per object',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --deep',
      description: 'download everything and check every digest',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci-layout:./store.oci --json | jq .verdict',
      description: 'for a script',
    },
    {
      command:
        '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main --metrics /var/lib/node_exporter/kloset.prom',
      description: 'for Prometheus: a scrape asks nothing of the registry',
    },
  ]

  static override flags = {
    deep: Flags.boolean({description: 'download everything: digests, envelopes, and MACs where the key is known'}),
    ...metricsFlag,
    ...passphraseFlags,
    references: Flags.boolean({
      description:
        'go through all snapshots too: blobs that none needs, or that are there twice (reads all their trees)',
    }),
  }

  static override summary = 'check that everything a store needs is still there'

  async run(): Promise<CheckSummary> {
    const {args, flags} = await this.parse(GcCheck)
    const {concurrency, deep, metrics, references} = flags
    if (!deep && !references) keepYoungGenerationSmall()
    await refuseUnwritable(metrics)
    const started = systemClock.now()
    return this.withRepository(args.store, flags, async (repository) => {
      const progress = await this.startProgress(flags)
      const onProgress = (state: CheckProgress) => progress.update(progressText(state))
      const secret = await givenSecret(new KlosetStore(repository), flags, this.signal)
      const check = gcCheck(repository, {concurrency, deep, onProgress, references, secret, signal: this.signal})
      const json = this.jsonEnabled() ? this.streamJson({store: repository.location}, 'findings') : undefined
      const printer = new FindingPrinter()
      const show = async (finding: Finding) => (json ? json.item(finding) : printer.print(finding))
      for await (const finding of check) await show(finding)
      progress.stop()
      await printer.end()
      const {summary} = check
      const exitCode = exitCodeOf(summary)
      this.exitWith(exitCode)
      if (metrics !== undefined) {
        const run = {exitCode, finished: systemClock.now(), started, store: repository.location}
        await this.beside(async () => writeMetrics(metrics, checkMetrics(summary, run)))
      }

      const {findings: severities, ...rest} = summary
      if (json) await this.endJson({...rest, severities})
      else this.print(...(printer.hasPrinted ? [''] : []), ...summaryLines(summary))
      this.tellLate()
      return summary
    })
  }
}

const PHASES: Readonly<Record<string, string>> = {
  recheck: 'looking again at what changed',
  snapshots: 'going through snapshots',
  states: 'reading states',
  storage: 'looking through the storage',
  tags: 'looking at tags',
}

function progressText({bytes, done, phase}: CheckProgress): string {
  return `${PHASES[phase] ?? phase}: ${humanCount(done)}${bytes > 0 ? `, ${humanSize(bytes)} read` : ''}`
}
