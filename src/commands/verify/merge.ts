import {Args} from '@oclif/core'

import {BaseCommand} from '../../base-command/base-command.js'
import {exitCodeOf, type MergedResult, mergeShards, parseShardResult, type ShardResult} from '../../checker/index.js'
import {describe} from '../../cli/describe.js'
import {FindingPrinter, VERDICT_TEXTS} from '../../cli/findings.js'
import {humanSize, plural, table} from '../../cli/format.js'
import {readText} from '../../cli/verify-flags.js'
import {EXIT} from '../../exit-codes.js'

/** Ten thousand findings have some ten megabytes. */
const MAX_RESULT_BYTES = 256 * 1024 * 1024

export default class VerifyMerge extends BaseCommand {
  static override args = {
    files: Args.string({
      description: 'files that `verify --result` wrote, one for each shard',
      name: 'FILES',
      required: true,
    }),
  }

  static override description = describe(
    `Puts the results of all shards of one verification together, and ends as the worst of them did. When a shard is missing,
or when the results are not of the same store, tier and number of shards, nothing is said of the store.`,
    EXIT.damage,
    EXIT.partial,
    EXIT.usage,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> results/*.json',
      description: 'what all jobs together found',
    },
  ]

  static override strict = false

  static override summary = 'put the results of `verify --shard` together'

  async run(): Promise<MergedResult> {
    const {argv} = await this.parse(VerifyMerge)
    const results: ShardResult[] = []
    for (const path of argv as string[]) results.push(parseShardResult(await readText(path, MAX_RESULT_BYTES), path))
    const merged = mergeShards(results)
    this.exitWith(exitCodeOf(merged))
    if (this.jsonEnabled()) return merged
    const printer = new FindingPrinter()
    for (const found of merged.findings) await printer.print(found)
    await printer.end()
    const {asOf, findings, shards, store, tier, verdict, verified} = merged
    this.print(
      ...(printer.hasPrinted ? [''] : []),
      ...table([
        ['store', store],
        ['tier', tier],
        ['shards', `all ${shards}; it holds for what was there on ${asOf}`],
        ['verified', `${plural(verified.objects, 'object')}, ${humanSize(verified.bytes)}; states by every shard`],
        ['found', plural(findings.length, 'finding')],
        ['verdict', VERDICT_TEXTS[verdict]],
      ]),
    )
    return merged
  }
}
