import {Flags, type Interfaces} from '@oclif/core'
import {readFile} from 'node:fs/promises'

import {AppendedFile, Ledger, parseNames, parsePart, type Selection, TIERS} from '../checker/index.js'
import {InvalidArgumentError, LocalIoError} from '../errors.js'
import {collect} from '../util/collect.js'
import {fileOperation} from '../util/fs-error.js'
import {openInput} from './input.js'
import {parseBytes, parseDuration, parseMoment} from './quantities.js'

const WHAT = 'WHAT TO LOOK AT'
const BUDGET = 'BUDGET AND MEMORY'

/** A list of some million names. */
const MAX_LIST_BYTES = 256 * 1024 * 1024

/** What `verify` looks at, how long, and what it remembers. */
export const selectionFlags = {
  'accept-gone': Flags.boolean({
    dependsOn: ['resume'],
    description: 'take what the ledger knows and is not there any more as meant to be gone: it is not told again',
    helpGroup: BUDGET,
  }),
  'from-file': Flags.string({
    description: 'only the packfiles in this list, MACs or tags, one a line; - for standard input',
    helpGroup: WHAT,
    helpValue: 'FILE',
  }),
  'max-age': Flags.string({
    dependsOn: ['resume'],
    description: 'look again at what was found sound longer ago than this (default: never)',
    helpGroup: BUDGET,
    helpValue: 'TIME',
  }),
  'max-bytes': Flags.string({
    description:
      'begin no packfile after so many bytes of them (500GiB), which the last one may go over; exit code 75 when some are left',
    helpGroup: BUDGET,
    helpValue: 'SIZE',
  }),
  'max-duration': Flags.string({
    description: 'begin no packfile after so long (2h); exit code 75 when some are left',
    helpGroup: BUDGET,
    helpValue: 'TIME',
  }),
  percent: Flags.string({
    description:
      'only so many in a hundred of the packfiles: those that wait longest, or some by chance without a ledger',
    helpGroup: WHAT,
    helpValue: 'P',
  }),
  result: Flags.string({
    description: 'write what came of it to this file, for `verify merge`',
    helpGroup: BUDGET,
    helpValue: 'FILE',
  }),
  resume: Flags.string({
    description: 'a ledger of what was looked at: made when it is not there, added to, and gone by',
    helpGroup: BUDGET,
    helpValue: 'LEDGER',
  }),
  shard: Flags.string({
    dependsOn: ['result'],
    description: 'only the n-th of m parts, and write what came of it to --result for `verify merge`',
    helpGroup: WHAT,
    helpValue: 'N/M',
  }),
  since: Flags.string({
    description: 'only packfiles written since: a date, a time, or how long ago (7d)',
    helpGroup: WHAT,
    helpValue: 'TIME',
  }),
  snapshot: Flags.string({
    description: 'only the packfiles that this snapshot needs (can be given several times)',
    helpGroup: WHAT,
    helpValue: 'ID',
    multiple: true,
  }),
  subset: Flags.string({
    description: 'only the n-th of m parts, the same in every run',
    helpGroup: WHAT,
    helpValue: 'N/M',
  }),
  tier: Flags.option({
    description: 'how deep to look (default: as deep as the key allows)',
    options: TIERS,
  })(),
}

export type SelectionFlags = Interfaces.InferredFlags<typeof selectionFlags>

/** What the flags ask for. @throws InvalidArgumentError | LocalIoError */
export async function selectionOf(
  flags: SelectionFlags,
  {now, signal}: {readonly now: number; readonly signal: AbortSignal},
): Promise<Selection> {
  const {percent, shard, since, snapshot, subset} = flags
  const list = flags['from-file']
  const maxBytes = flags['max-bytes']
  const maxDuration = flags['max-duration']
  return {
    macs: list === undefined ? undefined : parseNames(await readList(list, signal)),
    maxBytes: maxBytes === undefined ? undefined : parseBytes(maxBytes, '--max-bytes'),
    maxDuration: maxDuration === undefined ? undefined : parseDuration(maxDuration, '--max-duration'),
    percent: percent === undefined ? undefined : parsePercent(percent),
    shard: shard === undefined ? undefined : parsePart(shard, '--shard'),
    since: since === undefined ? undefined : parseMoment(since, {flag: '--since', now}),
    snapshots: snapshot?.map((id) => parseIdentifier(id)),
    subset: subset === undefined ? undefined : parsePart(subset, '--subset'),
  }
}

function parseIdentifier(text: string): string {
  if (/^[\da-f]{4,64}$/i.test(text)) return text
  throw new InvalidArgumentError(`--snapshot: "${text.slice(0, 80)}" does not begin a snapshot's identifier`, {
    suggestions: ['Give at least four of its hex digits, as `snapshot ls` prints them.'],
  })
}

function parsePercent(text: string): number {
  const percent = Number(text.replace(/%$/, ''))
  if (/^\d+(?:\.\d+)?%?$/.test(text) && percent <= 100) return percent
  throw new InvalidArgumentError(`--percent: "${text.slice(0, 40)}" is not between 0 and 100`)
}

async function readList(path: string, signal: AbortSignal): Promise<string> {
  const source = await openInput(path, signal)
  try {
    const bytes = await collect(source.open(), {limit: MAX_LIST_BYTES, what: path === '-' ? 'standard input' : path})
    return bytes.toString('utf8')
  } finally {
    await source.dispose()
  }
}

/** A ledger, new or known. @throws LocalIoError | InvalidArgumentError */
export async function openLedger(path: string, {create = true} = {}): Promise<Ledger> {
  return Ledger.open(await AppendedFile.open(path, {create}))
}

/** A small file of our own, as text. @throws LocalIoError */
export async function readText(path: string, limit: number): Promise<string> {
  const bytes = await fileOperation('read', path, async () => readFile(path))
  if (bytes.length > limit) throw new LocalIoError(`${path}: has ${bytes.length} bytes, more than ${limit}`)
  return bytes.toString('utf8')
}
