import pMap from 'p-map'

import type {ProbeSubject} from './subject.js'

import {hasCode, isNotFound, messageOf} from '../../errors.js'
import {andMore} from '../../util/and-more.js'
import {registryTime} from '../remote/registry-time.js'
import {type Trial, trialOf, trialTimeOf} from '../trial-tags.js'
import {ok, type ProbeResult, warn} from './result.js'

const HOUR = 3_600_000

/** After so long nothing is at work any more that made the tag. */
const OVER_MS: Readonly<Record<Trial, number>> = {bench: 24 * HOUR, deletion: HOUR, doctor: HOUR}

const PARALLEL = 4
const BY_HAND = "Remove these tags with the registry's own interface: no store uses them."
const NAMED = 10

/** What becomes of a tag that bears a trial's name. */
type Fate = 'failed' | 'foreign' | 'gone' | 'over' | 'removed' | 'young'

/**
 * Removes the tags that earlier trials have left, once they cannot be under way any more by this machine's clock and by
 * the registry's. A tag whose manifest is none of a trial's stays, whatever its name. No blob is deleted: what a manifest
 * names may be somebody else's.
 * @param remove false only says what there is
 */
export async function probeLeftovers(
  subject: ProbeSubject,
  {remove}: {readonly remove: boolean},
): Promise<ProbeResult> {
  const tags = subject.earlier
  if (tags.length === 0) return ok('leftovers', 'no tag of an earlier trial is left', {found: 0})
  const now = await nowOf(subject)
  const why = new Set<string>()
  const fates = await pMap(
    tags,
    async (tag) => {
      try {
        return await end(subject, tag, {now, remove})
      } catch (error) {
        if (hasCode(error, 'INTERRUPTED') || subject.signal?.aborted) throw error
        why.add(messageOf(error))
        return 'failed'
      }
    },
    {concurrency: PARALLEL},
  )
  return resultOf(tags, fates, [...why])
}

/** The earlier of two clocks: by neither is a trial older than that. */
async function nowOf({clock, context, signal}: ProbeSubject): Promise<number> {
  const time = context ? await registryTime(context, {signal}) : undefined
  return Math.min(clock.now(), time ?? Number.POSITIVE_INFINITY)
}

async function end(
  {repository: {manifests}, signal}: ProbeSubject,
  tag: string,
  {now, remove}: {readonly now: number; readonly remove: boolean},
): Promise<Fate> {
  const trial = trialOf(tag)
  let time: number | undefined
  try {
    const {bytes} = await manifests.get(tag, {signal})
    time = trialTimeOf(bytes)
  } catch (error) {
    if (isNotFound(error)) return 'gone'
    if (hasCode(error, 'INTEGRITY') || hasCode(error, 'PROTOCOL') || hasCode(error, 'STORE_FORMAT')) return 'foreign'
    throw error
  }

  if (trial === undefined || time === undefined) return 'foreign'
  if (now - time < OVER_MS[trial]) return 'young'
  if (!remove) return 'over'
  // Nobody but a trial makes such a manifest: no other tag has to be asked for it.
  await manifests.untag(tag, {sharers: () => isTrial, signal})
  return 'removed'
}

function isTrial(tag: string): boolean {
  return trialOf(tag) !== undefined
}

function resultOf(tags: readonly string[], fates: readonly Fate[], why: readonly string[]): ProbeResult {
  const ended: Record<Fate, string[]> = {failed: [], foreign: [], gone: [], over: [], removed: [], young: []}
  for (const [index, tag] of tags.entries()) ended[fates[index]!].push(tag)
  const {failed, foreign, over, removed, young} = ended
  const facts = {failed: failed.length, found: tags.length, removed: removed.length}
  const said = [
    ...(failed.length > 0 ? [`could not remove ${named(failed)}: ${why.join('; ')}`] : []),
    ...(removed.length > 0 ? [`removed ${named(removed)}, which earlier trials had left`] : []),
    ...(over.length > 0 ? [`earlier trials have left ${named(over)}`] : []),
    ...(young.length > 0 ? [`${named(young)}: under way, or cut off not long ago: left alone`] : []),
    ...(foreign.length > 0 ? [`${named(foreign)}: named like a trial's, and made by none: left alone`] : []),
  ]
  const message = said.length > 0 ? said.join('; ') : 'no tag of an earlier trial is left'
  if (failed.length > 0) return warn('leftovers', message, {facts, next: BY_HAND})
  if (over.length > 0)
    return warn('leftovers', message, {facts, next: 'Run `doctor` without --read-only: it removes them.'})
  return ok('leftovers', message, facts)
}

function named(tags: readonly string[]): string {
  return andMore(tags.slice(0, NAMED), tags.length)
}
