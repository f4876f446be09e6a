import type {CopyOutcome, GoneObject, LedgerRun, MirrorSummary} from '../transfer/index.js'

import {paint} from './colors.js'
import {CopyPrinter, copySummaryLines} from './copies.js'
import {plural} from './format.js'
import {gauge, type Metric, samplesOf} from './metrics.js'

const REASONS: Readonly<Record<GoneObject['reason'], string>> = {
  accepted: 'accepted: it is not told again',
  maintenance: "deleted by plakar's maintenance",
  unexplained: 'nobody is known to have deleted it; the target has it still',
}

/** Prints what a mirror did, and what has gone, one a line. */
export class MirrorPrinter {
  readonly #printer = new CopyPrinter()

  async end(): Promise<void> {
    await this.#printer.end()
  }

  async print(event: CopyOutcome | GoneObject): Promise<void> {
    await this.#printer.print(event.status === 'gone' ? {...event, note: REASONS[event.reason]} : event)
  }
}

/** What a person reads last. */
export function mirrorSummaryLines(summary: MirrorSummary): string[] {
  const {gone, lastComplete, run, skippedLines} = summary
  const before = lastComplete ? `the last complete one ended ${lastComplete.time}` : 'none was complete before it'
  return [
    '',
    ...copySummaryLines(summary, {kept: 'only at the target, kept'}),
    `run ${run} of this ledger; ${before}`,
    ...(skippedLines > 0 ? [`${plural(skippedLines, 'line')} of the ledger could not be read`] : []),
    ...(gone.maintenance > 0 ? [`${plural(gone.maintenance, 'object')} deleted at the source by maintenance`] : []),
    ...(gone.unexplained > 0
      ? [paint.bold.red(`${plural(gone.unexplained, 'object')} gone from the source, and nothing says why`)]
      : []),
  ]
}

export interface MirrorRun {
  /** Milliseconds since the epoch. */
  readonly finished: number
  /** This run when it was complete, else the one before. */
  readonly lastComplete: LedgerRun | undefined
  readonly started: number
}

/** A run, as metrics: the age of a mirror is now minus `mirror_last_complete_timestamp_seconds`. */
export function mirrorMetrics(
  {bytes, complete, counts, exitCode, gone}: MirrorSummary,
  from: string,
  to: string,
  {finished, lastComplete, started}: MirrorRun,
): Metric[] {
  const {by, one} = samplesOf({store: from, target: to})
  const last = lastComplete && Date.parse(lastComplete.time) / 1000
  return [
    gauge('mirror_timestamp_seconds', 'When the last run ended.', one(finished / 1000)),
    gauge('mirror_duration_seconds', 'How long it took.', one((finished - started) / 1000)),
    gauge('mirror_exit_code', 'The exit status that it ended with.', one(exitCode)),
    gauge('mirror_complete', 'Whether the target now has everything.', one(complete)),
    gauge(
      'mirror_last_complete_timestamp_seconds',
      'When the last complete run ended; 0 when none did.',
      one(last ?? 0),
    ),
    gauge('mirror_objects', 'What became of the objects of the source.', by('status', counts)),
    gauge('mirror_gone_objects', 'Objects that have gone from the source, by why.', by('reason', gone)),
    gauge('mirror_sent_bytes', 'Bytes that were sent.', one(bytes)),
  ]
}
