import {BaseCommand} from '../../base-command/base-command.js'
import {type LedgerRecord} from '../../checker/index.js'
import {textArg} from '../../cli/args.js'
import {describe} from '../../cli/describe.js'
import {humanCount, table} from '../../cli/format.js'
import {metricsFlag, writeMetrics} from '../../cli/metrics.js'
import {openLedger} from '../../cli/verify-flags.js'
import {ledgerMetrics} from '../../cli/verify-output.js'
import {EXIT} from '../../exit-codes.js'

export interface LedgerResult {
  readonly ignoredLines: number
  readonly newest: string | undefined
  readonly oldest: Readonly<Record<string, string>>
  readonly repositoryId: string | undefined
  readonly sound: Readonly<Record<string, number>>
  readonly standing: readonly LedgerRecord[]
}

export default class VerifyLedger extends BaseCommand {
  static override args = {
    ledger: textArg({description: 'a ledger that `verify --resume` wrote', name: 'LEDGER', required: true}),
  }

  static override description = describe(
    `Says what a ledger of verifications holds: how much was found sound, when, in which tier, and what was found damaged and
not found sound since. The store is not asked.`,
    EXIT.damage,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> main.ledger --metrics /var/lib/node_exporter/verify.prom',
      description: 'for Prometheus',
    },
  ]

  static override flags = {...metricsFlag}

  static override summary = 'say what a ledger of verifications holds'

  async run(): Promise<LedgerResult> {
    const {args, flags} = await this.parse(VerifyLedger)
    const ledger = await openLedger(args.ledger, {create: false})
    await ledger.close()
    if (flags.metrics !== undefined) {
      const store = ledger.store ?? args.ledger
      await writeMetrics(flags.metrics, ledgerMetrics(ledger, {now: Date.now(), store}))
    }

    const {newest, objects, oldest} = ledger.totals()
    const times = Object.entries(oldest).map(([tier, at]) => [tier, new Date(at).toISOString()])
    const result = {
      ignoredLines: ledger.ignored,
      newest: newest > 0 ? new Date(newest).toISOString() : undefined,
      oldest: Object.fromEntries(times) as Record<string, string>,
      repositoryId: ledger.store,
      sound: objects,
      standing: [...ledger.standing()],
    }
    if (result.standing.length > 0) this.exitWith(EXIT.damage)
    this.print(...lines(result))
    return result
  }
}

function lines({ignoredLines, newest, oldest, repositoryId, sound, standing}: LedgerResult): string[] {
  return table([
    ['store', repositoryId ?? 'not known'],
    ['last record', newest ?? 'none'],
    ...Object.entries(sound).map(([tier, count]) => [
      tier,
      `${humanCount(count)} objects were found sound, the longest ago on ${oldest[tier]}`,
    ]),
    ...standing.map(({at, kinds, tag}) => ['damaged', `${tag}: ${kinds?.join(', ') ?? ''} on ${at}`]),
    ...(ignoredLines > 0 ? [['ignored', `${humanCount(ignoredLines)} lines that could not be read`]] : []),
  ])
}
