import type {DiffEntry, DiffIdentity, DiffSummary} from '../transfer/index.js'

import {paint} from './colors.js'
import {humanCount, plural, table} from './format.js'
import {LineWriter} from './output.js'

const PAINTS: Readonly<Record<DiffEntry['kind'], (text: string) => string>> = {
  differs: (text) => paint.bold.red(text),
  'only-left': (text) => paint.yellow(text),
  'only-right': (text) => paint.yellow(text),
  unreachable: (text) => paint.bold.yellow(text),
}

const WIDTH = 'unreachable'.length

/** Prints differences as they come, one a line. */
export class DiffPrinter {
  readonly #writer = new LineWriter()

  async end(): Promise<void> {
    await this.#writer.end()
  }

  async print({kind, layer, message, tag}: DiffEntry): Promise<void> {
    const text = message === undefined ? tag : `${layer === undefined ? '' : `${layer}: `}${message}`
    await this.#writer.line(`${PAINTS[kind](kind.padEnd(WIDTH))}  ${text}`)
  }
}

const UNREADABLE = 'one whose CONFIG cannot be read'

/** Which stores they are: what is said first. */
export function identityLine({left, right, sameStore}: DiffIdentity): string {
  if (sameStore) return `store ${left} on both sides`
  return paint.bold.red(`two different stores: left ${left ?? UNREADABLE}, right ${right ?? UNREADABLE}`)
}

const VERDICTS: Readonly<Record<DiffSummary['verdict'], string>> = {
  different: paint.bold.red('different'),
  equal: paint.green('equal'),
  incomplete: paint.bold.yellow('incomplete: not everything could be compared'),
  partial: paint.yellow('nothing differs, and one side has what the other has not'),
}

/** What a person reads last. */
export function diffSummaryLines({counts, deep, foreign, verdict}: DiffSummary): string[] {
  const {differs, onlyLeft, onlyRight, rewrapped, same, unreachable} = counts
  const rows: [number, string][] = [
    [same, deep ? 'the same on both sides, every byte read' : 'the same on both sides'],
    [rewrapped, 'the same content under other manifests'],
    [differs, 'differ'],
    [onlyLeft, 'only on the left'],
    [onlyRight, 'only on the right'],
    [unreachable, 'could not be compared'],
  ]
  const shown = rows
    .filter(([count], index) => index === 0 || count > 0)
    .map(([count, text]) => [humanCount(count), text])
  const left = foreign.left + foreign.right
  return [
    '',
    ...table(shown, [{align: 'right'}]),
    ...(left > 0 ? [paint.dim(`${plural(left, 'foreign tag')} not compared`)] : []),
    '',
    VERDICTS[verdict],
  ]
}
