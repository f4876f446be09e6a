import type {
  CopyOutcome,
  CopyProgress,
  CopyStatus,
  CopySummary,
  DeletionOutcome,
  GoneObject,
} from '../transfer/index.js'

import {paint} from './colors.js'
import {humanCount, humanSize, plural, table} from './format.js'
import {LineWriter} from './output.js'

type Outcome = CopyOutcome | DeletionOutcome | (GoneObject & {readonly note: string})

const PAINTS: Partial<Record<Outcome['status'], (text: string) => string>> = {
  copied: (text) => paint.green(text),
  failed: (text) => paint.bold.red(text),
  gone: (text) => paint.bold.yellow(text),
  healed: (text) => paint.green(text),
  'held-back': (text) => paint.yellow(text),
  vanished: (text) => paint.yellow(text),
}

const WIDTH = 'would-delete'.length

/** Prints what became of objects, one a line. */
export class CopyPrinter {
  hasPrinted = false
  readonly #writer = new LineWriter()

  async end(): Promise<void> {
    await this.#writer.end()
  }

  async print(outcome: Outcome): Promise<void> {
    this.hasPrinted = true
    const {status, tag} = outcome
    const failure = 'failure' in outcome ? outcome.failure : undefined
    const paintStatus = PAINTS[status] ?? ((text: string) => text)
    const size = 'size' in outcome && outcome.size !== undefined ? humanSize(outcome.size) : ''
    const remark = failure?.message ?? ('note' in outcome ? outcome.note : undefined) ?? ''
    await this.#writer.line(`${paintStatus(status.padEnd(WIDTH))}  ${size.padStart(8)}  ${tag}  ${remark}`.trimEnd())
  }
}

const LABELS: Readonly<Record<CopyStatus, string>> = {
  copied: 'copied',
  failed: 'failed',
  healed: 'healed: the tag was there, its content was not',
  'held-back': 'states held back: not every packfile could be copied',
  present: 'there already',
  vanished: 'removed from the source meanwhile',
  'would-copy': 'would be copied',
}

export interface DeletionCount {
  readonly applied: boolean
  readonly failed: number
  readonly objects: number
}

export interface SummaryOptions {
  readonly deletion?: DeletionCount | undefined
  /** What is said of objects that the target alone has, where nothing was asked about them. */
  readonly kept?: string
}

const KEPT = 'only at the target, kept (--delete names them)'

/** What a person reads last. */
export function copySummaryLines(summary: CopySummary, {deletion, kept = KEPT}: SummaryOptions = {}): string[] {
  const {bytes, counts, foreign, locks, mounted, rewritten, storeId, targetOnly} = summary
  const rows: string[][] = [['store', storeId]]
  for (const [status, label] of Object.entries(LABELS)) {
    const count = counts[status as CopyStatus]
    if (count > 0 || status === 'copied') rows.push([humanCount(count), label])
  }

  const rest: [number, string][] = [
    [mounted, 'of them taken over by the registry itself'],
    [rewritten, 'with a manifest that was written anew'],
    [locks, 'locks of the source left alone (--resource lock copies them)'],
    [foreign.source, 'foreign tags of the source left alone'],
  ]
  for (const [count, label] of rest) if (count > 0) rows.push([humanCount(count), label])
  const only = targetOnly.packfile + targetOnly.state
  if (!deletion && only > 0) rows.push([humanCount(only), kept])
  if (deletion) {
    const {applied, failed, objects} = deletion
    rows.push([
      humanCount(objects - failed),
      applied ? 'deleted at the target' : 'only at the target: --yes deletes them',
    ])
    if (failed > 0) rows.push([humanCount(failed), 'could not be deleted'])
  }

  rows.push([humanSize(bytes), summary.dryRun ? 'would be sent' : 'sent'])
  return [...table(rows.slice(1), [{align: 'right'}]), '', closing(summary)]
}

function closing({counts, damaged, dryRun, storeId}: CopySummary): string {
  if (dryRun) return `store ${storeId}: nothing was written`
  if (damaged > 0) return paint.bold.red(`store ${storeId}: ${plural(damaged, 'object')} could not be copied: damaged`)
  const open = counts.failed + counts['held-back']
  if (open > 0) return paint.bold.yellow(`store ${storeId}: not complete: run it again`)
  return paint.green(`store ${storeId}: the target holds all of it`)
}

export function copyProgressText({bytes, done, phase, total}: CopyProgress): string {
  const count = total === undefined ? humanCount(done) : `${humanCount(done)} of ${humanCount(total)}`
  return `${phase}: ${count}${bytes > 0 ? `, ${humanSize(bytes)} received` : ''}`
}
