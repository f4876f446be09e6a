import {
  type Finding,
  type Ledger,
  MAX_KEPT_FINDINGS,
  type Part,
  SHARD_SCHEMA,
  type ShardResult,
  type VerifySummary,
} from '../checker/index.js'
import {writeWhole} from './atomic-file.js'
import {gauge, type Metric, samplesOf} from './metrics.js'

/** Keeps findings for a result's file, up to a limit. */
export class KeptFindings {
  readonly items: Finding[] = []

  add(found: Finding): void {
    if (this.items.length < MAX_KEPT_FINDINGS) this.items.push(found)
  }
}

export interface ResultOptions {
  readonly findings: readonly Finding[]
  readonly finished: number
  readonly shard: Part
  readonly started: number
  readonly store: string
}

/** Writes what came of a shard: whole, or not at all. @throws LocalIoError */
export async function writeResult(path: string, summary: VerifySummary, options: ResultOptions): Promise<void> {
  const {findings, finished, shard, started, store} = options
  const {kinds, left, objects, repositoryId, tier, verdict, verified} = summary
  const result: ShardResult = {
    findings,
    finished: new Date(finished).toISOString(),
    repositoryId,
    schema: SHARD_SCHEMA,
    shard,
    started: new Date(started).toISOString(),
    store,
    summary: {kinds, left, packfiles: objects.packfile, tier, verdict, verified},
  }
  await writeWhole(path, Buffer.from(`${JSON.stringify(result, undefined, 2)}\n`))
}

/** What a ledger says, as metrics: nothing is asked of the store for them. */
export function ledgerMetrics(ledger: Ledger, {now, store}: {readonly now: number; readonly store: string}): Metric[] {
  const {by, one} = samplesOf({store})
  const {newest, objects, oldest, standing} = ledger.totals()
  const ages = Object.fromEntries(Object.entries(oldest).map(([tier, at]) => [tier, (now - at) / 1000]))
  return [
    gauge('verify_ledger_timestamp_seconds', 'When the last record was written.', one(newest / 1000)),
    gauge('verify_ledger_sound_objects', 'Objects found sound, in a tier or a deeper one.', by('tier', objects)),
    gauge(
      'verify_ledger_oldest_age_seconds',
      'How long ago the object that waits longest was found sound.',
      by('tier', ages),
    ),
    gauge('verify_ledger_standing_damage', 'Objects found damaged and not found sound since.', one(standing)),
    gauge('verify_ledger_ignored_lines', 'Lines of the ledger that could not be read.', one(ledger.ignored)),
  ]
}
