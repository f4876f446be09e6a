import type {Finding} from '../findings.js'
import type {Verdict} from '../summary.js'
import type {Part} from './selection.js'
import type {VerifySummary} from './summary.js'
import type {Tier} from './tier.js'

import {InvalidArgumentError, KlosetOciError} from '../../errors.js'
import {isCount, isObject, isString, type JsonObject} from '../../util/json.js'
import {SEVERITIES} from '../findings.js'
import {VERDICTS} from '../summary.js'
import {isTier} from './tier.js'

export const SHARD_SCHEMA = 'kloset-oci/verify-result/v1'

/** Findings that a result keeps; the rest is in its counts. */
export const MAX_KEPT_FINDINGS = 10_000

/** What came of one shard, as a file holds it. */
export interface ShardResult {
  readonly findings: readonly Finding[]
  /** RFC 3339, as `started`. */
  readonly finished: string
  readonly repositoryId: string | undefined
  readonly schema: typeof SHARD_SCHEMA
  readonly shard: Part
  readonly started: string
  readonly store: string
  readonly summary: Pick<VerifySummary, 'kinds' | 'left' | 'tier' | 'verdict' | 'verified'> & {
    readonly packfiles: number
  }
}

/** What all shards together came to. */
export interface MergedResult {
  /** The moment from which on it does not count: what was written later may be in no shard. */
  readonly asOf: string
  readonly findings: readonly Finding[]
  readonly finished: string
  readonly shards: number
  readonly store: string
  readonly tier: Tier
  readonly verdict: Verdict
  readonly verified: {readonly bytes: number; readonly objects: number}
}

/** The worst first: what a whole made of these parts comes to. */
const WORST: readonly Verdict[] = ['damaged', 'incomplete', 'unknown-version', 'partial', 'clean']

/**
 * Puts the results of all shards of one verification together.
 * @throws InvalidArgumentError when they are not of one store, tier and number of shards
 * @throws KlosetOciError `PARTIAL` when some are missing: nothing is said of the store then
 */
export function mergeShards(results: readonly ShardResult[]): MergedResult {
  const [first] = results
  if (!first) throw new InvalidArgumentError('no results to merge')
  const {count} = first.shard
  const seen = new Map<number, ShardResult>()
  for (const result of results) {
    refuseForeign(result, first)
    if (seen.has(result.shard.index)) {
      throw new InvalidArgumentError(`shard ${result.shard.index}/${count} is there twice: give each result once`)
    }

    seen.set(result.shard.index, result)
  }

  const missing = Array.from({length: count}, (_, at) => at + 1).filter((index) => !seen.has(index))
  if (missing.length > 0) {
    const shown = missing.slice(0, 20).map((index) => `${index}/${count}`)
    throw new KlosetOciError('PARTIAL', `${missing.length} of ${count} shards are missing: ${shown.join(', ')}`, {
      facts: {count, missing: missing.length},
      suggestions: ['Run those shards, or wait for them, then merge again: without them nothing is said of the store.'],
    })
  }

  const sum = (of: (result: ShardResult) => number) => results.reduce((total, result) => total + of(result), 0)
  return {
    asOf: results.map(({started}) => started).sort()[0]!,
    findings: distinct(results.flatMap(({findings}) => findings)),
    finished: results
      .map(({finished}) => finished)
      .sort()
      .at(-1)!,
    shards: count,
    store: first.store,
    tier: first.summary.tier,
    verdict: WORST.find((verdict) => results.some(({summary}) => summary.verdict === verdict))!,
    verified: {
      bytes: sum(({summary}) => summary.verified.bytes),
      objects: sum(({summary}) => summary.verified.objects),
    },
  }
}

/** @throws InvalidArgumentError when it is no result of this version */
export function parseShardResult(text: string, what: string): ShardResult {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new InvalidArgumentError(`${what}: not a whole result: the shard was ended while it wrote, perhaps`, {
      cause: error,
    })
  }

  if (isObject(json) && json['schema'] === SHARD_SCHEMA && isResult(json)) return json as unknown as ShardResult
  throw new InvalidArgumentError(`${what}: not a result of \`verify --shard\` of this version`)
}

function isResult({findings, finished, shard, started, store, summary}: JsonObject): boolean {
  if (!isString(started) || !isString(finished) || !isString(store) || !isObject(shard) || !isObject(summary))
    return false
  const {count, index} = shard
  if (!isCount(count) || !isCount(index) || index < 1 || index > count) return false
  const {tier, verdict, verified} = summary
  if (!isString(tier) || !isTier(tier) || !isVerdict(verdict) || !isObject(verified)) return false
  if (!isCount(verified['bytes']) || !isCount(verified['objects'])) return false
  return Array.isArray(findings) && findings.every((found) => isFinding(found))
}

function isVerdict(value: unknown): value is Verdict {
  return VERDICTS.includes(value as Verdict)
}

function isFinding(value: unknown): boolean {
  return isObject(value) && isString(value['message']) && isString(value['kind']) && value['kind'] in SEVERITIES
}

/** States and the configuration are looked at by every shard: what is wrong with them is said once. */
function distinct(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>()
  return findings.filter(({kind, message}) => {
    const key = `${kind} ${message}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

function refuseForeign(result: ShardResult, first: ShardResult): void {
  const of = ({repositoryId, shard, store, summary}: ShardResult) => ({
    shards: String(shard.count),
    store: repositoryId ?? store,
    tier: summary.tier,
  })
  const [mine, other] = [of(first), of(result)]
  for (const key of ['store', 'tier', 'shards'] as const) {
    if (mine[key] === other[key]) continue
    throw new InvalidArgumentError(`results of two verifications: one has the ${key} ${mine[key]}, one ${other[key]}`, {
      suggestions: ['Merge the results of one run of all shards.'],
    })
  }
}
