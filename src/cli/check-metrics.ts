import {type CheckSummary, VERDICTS} from '../checker/index.js'
import {gauge, type Metric, samplesOf} from './metrics.js'

export interface CheckRun {
  readonly exitCode: number
  /** Milliseconds since the epoch. */
  readonly finished: number
  readonly started: number
  readonly store: string
}

/** What `gc-check` found, as metrics. Every kind of finding that there was is a series; those that there were not are none. */
export function checkMetrics(summary: CheckSummary, {exitCode, finished, started, store}: CheckRun): Metric[] {
  const {bytes, bytesRead, complete, findings, kinds, objects, verdict} = summary
  const {by, one} = samplesOf({store})
  return [
    gauge('gc_check_timestamp_seconds', 'When the last check ended.', one(finished / 1000)),
    gauge('gc_check_duration_seconds', 'How long it took.', one((finished - started) / 1000)),
    gauge('gc_check_exit_code', 'The exit status that it ended with.', one(exitCode)),
    gauge('gc_check_complete', 'Whether everything could be looked at.', one(complete)),
    gauge(
      'gc_check_verdict',
      '1 for the verdict of the last check, 0 for all others.',
      by('verdict', Object.fromEntries(VERDICTS.map((name) => [name, name === verdict]))),
    ),
    gauge('gc_check_findings', 'Findings by severity.', by('severity', findings)),
    gauge('gc_check_findings_by_kind', 'Findings by kind.', by('kind', kinds)),
    gauge('gc_check_objects', 'Objects by kind, and tags of others.', by('resource', objects)),
    gauge('gc_check_stored_bytes', 'Bytes stored under live tags, by kind.', by('resource', bytes)),
    gauge('gc_check_read_bytes', 'Bytes that the check has downloaded.', one(bytesRead)),
  ]
}
