import type {CheckSummary, Finding, FindingKind, Severity} from '../checker/index.js'

import {paint} from './colors.js'
import {humanCount, humanSize, plural, table} from './format.js'
import {LineWriter} from './output.js'

const LABELS: Readonly<Record<Severity, string>> = {error: 'ERROR', info: 'info', warning: 'warn'}

const PAINTS: Readonly<Record<Severity, (text: string) => string>> = {
  error: (text) => paint.bold.red(text),
  info: (text) => paint.dim(text),
  warning: (text) => paint.yellow(text),
}

/** Lines of one kind that are of use to a person; the rest is counted. `--json` has them all. */
const SHOWN: Readonly<Record<Severity, number>> = {error: 1000, info: 20, warning: 100}

/** Prints findings as they come, each on one line that names the object. */
export class FindingPrinter {
  readonly #shown = new Map<FindingKind, number>()
  readonly #writer = new LineWriter()

  get hasPrinted(): boolean {
    return this.#shown.size > 0
  }

  async end(): Promise<void> {
    await this.#writer.end()
  }

  async print(finding: Finding): Promise<void> {
    const {kind, severity} = finding
    const shown = (this.#shown.get(kind) ?? 0) + 1
    this.#shown.set(kind, shown)
    if (shown <= SHOWN[severity]) await this.#writer.line(findingLine(finding))
    else if (shown === SHOWN[severity] + 1)
      await this.#writer.line(paint.dim(`       … more of ${kind}: --json has them all`))
  }
}

function findingLine({attempts, kind, message, severity, status}: Finding): string {
  const details = [
    ...(status === undefined ? [] : [`status ${status}`]),
    ...(attempts === undefined || attempts < 2 ? [] : [`${attempts} attempts`]),
  ]
  const tail = details.length === 0 ? '' : paint.dim(` (${details.join(', ')})`)
  return `${PAINTS[severity](LABELS[severity].padEnd(5))}  ${kind.padEnd(KIND_WIDTH)}  ${message}${tail}`
}

const KIND_WIDTH = 'changed-while-reading'.length

export const VERDICT_TEXTS: Readonly<Record<CheckSummary['verdict'], string>> = {
  clean: paint.green('clean'),
  damaged: paint.bold.red('damaged'),
  incomplete: paint.bold.yellow('incomplete: not everything could be looked at, and nothing is said of the rest'),
  partial: paint.bold.yellow('partial: nothing wrong so far, and the budget ended before the work'),
  'unknown-version': paint.bold.yellow('unknown version: this program cannot judge it'),
}

/** What a person reads last: what was looked at, what was not, the verdict, and what to do. */
export function summaryLines(summary: CheckSummary): string[] {
  const {bytes, bytesRead, deep, findings, kinds, nextSteps, notChecked, objects, verdict} = summary
  const total = bytes.config + bytes.lock + bytes.packfile + bytes.state
  const count = objects.config + objects.lock + objects.packfile + objects.state
  const tier = deep
    ? `every byte was read (${humanSize(bytesRead)})`
    : 'presence and sizes were looked at, contents not (--deep)'
  const rows = [
    ['objects', `${humanCount(count)}, ${humanSize(total)}: ${objectsText(objects)}`],
    ['checked', tier],
    ...notChecked.map((text) => ['not checked', text]),
    ['found', `${plural(findings.error, 'error')}, ${plural(findings.warning, 'warning')}, ${findings.info} info`],
    ...Object.entries(kinds).map(([kind, number]) => ['', `${String(number).padStart(6)}  ${kind}`]),
    ['verdict', VERDICT_TEXTS[verdict]],
  ]
  const steps = nextSteps.map((step, index) => `  ${index + 1}. ${step}`)
  return [...table(rows), ...(steps.length > 0 ? ['', 'next steps', ...steps] : [])]
}

function objectsText({config, foreign, lock, packfile, state}: CheckSummary['objects']): string {
  const parts = [
    plural(config, 'configuration'),
    plural(packfile, 'packfile'),
    plural(state, 'state'),
    plural(lock, 'lock'),
    ...(foreign > 0 ? [plural(foreign, 'foreign tag')] : []),
  ]
  return parts.join(', ')
}
