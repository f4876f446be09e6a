import type {Finding} from '../../checker/findings.js'
import type {CheckSummary} from '../../checker/summary.js'
import type {Digest} from '../../registry/digest.js'
import type {CallOptions, Repository} from '../../registry/interfaces.js'
import type {Clock} from '../../util/clock.js'
import type {Source} from '../sources/source.js'
import type {PlanContext} from './context.js'

import {finding} from '../../checker/failures.js'
import {type CheckProgress, gcCheck} from '../../checker/gc-check.js'
import {hasCode, type KlosetOciError, NotFoundError} from '../../errors.js'
import {readObjectManifest} from '../../kloset/object-manifest.js'
import {CONFIG_TAG} from '../../kloset/resource.js'
import {DEFAULT_CONCURRENCY} from '../../kloset/store.js'
import {systemClock} from '../../util/clock.js'
import {SelfSource} from '../sources/self-source.js'
import {passOver} from '../sources/store-source.js'
import {PlanBook} from './book.js'
import {findConfig, ownConfig, type Unlock} from './find-config.js'
import {OverlayRepository} from './overlay.js'
import {planLocks} from './plan-locks.js'
import {planLosses} from './plan-losses.js'
import {planObjects} from './plan-objects.js'
import {planRemovals, sortRemovals} from './plan-removals.js'
import {planStates} from './plan-states.js'
import {SameStore} from './same-store.js'
import {PLAN_SCHEMA, type RepairPlan} from './types.js'

const CONFIG = {resource: 'config', tag: CONFIG_TAG} as const

export interface PlanOptions extends CallOptions {
  readonly clock?: Clock | undefined
  readonly concurrency?: number | undefined
  /** Read every byte, or only what is there and how large it is. Default true. */
  readonly deep?: boolean | undefined
  readonly onProgress?: ((progress: PlanProgress) => void) | undefined
  /** Where copies are looked for, the first one first. */
  readonly sources: readonly Source[]
  /** Gives the secret of an encrypted store, once its configuration is known. */
  readonly unlock: Unlock
}

export interface PlanProgress {
  readonly check?: CheckProgress | undefined
  /** Objects that copies have been looked for. */
  readonly objects: number
  readonly phase: 'check' | 'objects' | 'snapshots'
  /** Snapshots that have been gone through, for what they refer to. */
  readonly snapshots?: number | undefined
}

/**
 * Looks at a store and at the sources, and says what would bring it back, the least destructive first. Nothing is
 * written, in the store or in the sources.
 * @throws what `gcCheck` throws: a repository without a store, or that cannot be reached
 */
export async function planRepair(repository: Repository, options: PlanOptions): Promise<RepairPlan> {
  const {
    clock = systemClock,
    concurrency = DEFAULT_CONCURRENCY,
    deep = true,
    onProgress,
    signal,
    sources,
    unlock,
  } = options
  const overlay = new OverlayRepository(repository)
  const own = await ownConfig(repository, unlock, {signal})
  const found = own ? undefined : await lostConfig(repository, options)
  const keys = own ?? found?.keys
  const self = new SelfSource(repository, keys)
  if (!own) await self.learnConfigs({signal})
  const all: Source[] = [self, ...sources]
  const book = new PlanBook(all)
  let objects = 0
  const sameStore = new SameStore(overlay, all, signal)
  const context: PlanContext = {
    book,
    concurrency,
    isSameStore: async (source) => sameStore.is(source),
    keys,
    now: clock.now(),
    onObject: () => onProgress?.({objects: ++objects, phase: 'objects'}),
    onSnapshot: (snapshots) => onProgress?.({objects, phase: 'snapshots', snapshots}),
    overlay,
    repository,
    self,
    signal,
    sources: all,
  }
  await book.rely(repository, CONFIG_TAG, signal)
  const lostConfigFindings: Finding[] = []
  if (found?.copy) {
    overlay.heal(CONFIG, found.copy.copy)
    const message = `${CONFIG_TAG}: is missing or cannot be read, and without it nothing can`
    lostConfigFindings.push(finding('config-unreadable', message, {object: {resource: 'config'}, tag: CONFIG_TAG}))
  }

  // Of a store without its CONFIG the rest is looked at as it will be with it.
  const check = gcCheck(found?.copy ? overlay.withStorage() : repository, {
    clock,
    concurrency,
    deep,
    onProgress: (state) => onProgress?.({check: state, objects, phase: 'check'}),
    secret: keys?.secret,
    signal,
  })
  const findings = [...lostConfigFindings]
  try {
    for await (const one of check) {
      await self.learn(one, {signal})
      if (book.take(one)) findings.push(one)
    }
  } catch (error) {
    throw hasCode(error, 'NOT_FOUND') ? nothingLeft(repository.location, sources, error) : error
  }

  book.noteNotChecked(check.summary.notChecked)
  const isReadable = keys?.codec !== undefined
  book.noteUntagged({isReadable})
  if (!deep) book.note('Only presence and sizes were looked at: damage inside objects was not.')
  const {others, removals} = sortRemovals(findings)
  const outcome = await planObjects(others, context)
  const lost = await planStates(others, outcome, {...context, clock, deep: readEverything(check.summary)})
  await planLosses(lost, context)
  await planLocks(others, {...context, clock})
  const states = await planRemovals(removals, context)
  const steps = book.steps()
  return {
    ...book.coverage({isReadable}),
    created: new Date(context.now).toISOString(),
    notes: book.notes,
    relies: book.relies,
    schema: PLAN_SCHEMA,
    sources: book.sources,
    ...(states !== undefined && {states}),
    steps,
    store: repository.location,
    unfixable: book.unfixable,
  }
}

function readEverything({complete, deep}: CheckSummary): boolean {
  return complete && deep
}

/** There is no object left to begin with: a store that is gone altogether is not repaired but copied back. */
function nothingLeft(location: string, sources: readonly Source[], {facts, message}: KlosetOciError): NotFoundError {
  const copy = sources.find(({kind}) => kind === 'store')
  const source = copy?.location ?? 'MIRROR'
  return new NotFoundError(message, {
    facts,
    suggestions: [
      'Check the reference.',
      `If all of the store is gone: \`copy ${source} ${location}\` writes it anew. Do not run \`create\` there.`,
    ],
  })
}

/** CONFIG out of the store's own storage or a source, when the store's own cannot be read. */
async function lostConfig(repository: Repository, {signal, sources, unlock}: PlanOptions) {
  const self = new SelfSource(repository, undefined)
  await self.learnConfigs({signal})
  const expected = await expectedConfig(repository, signal)
  return findConfig(repository, {expected, signal, sources: [self, ...sources], unlock})
}

async function expectedConfig(repository: Repository, signal: AbortSignal | undefined): Promise<Digest | undefined> {
  let expected: Digest | undefined
  try {
    expected = readObjectManifest(await repository.manifests.get(CONFIG_TAG, {signal}), CONFIG_TAG).layer
  } catch (error) {
    passOver(error)
  }

  return expected
}
