import {expectStatus, RegistryResponseError} from '../errors.js'
import {isLoopback} from '../reference.js'
import {registryTime} from '../remote/registry-time.js'
import {readTagPage} from '../remote/tag-page.js'
import {discard} from '../transport/body.js'
import {ok, type ProbeResult, skip, warn} from './result.js'
import {type ProbeSubject} from './subject.js'

/** plakar takes a lock for dead after 10 minutes and renews it after 5: a clock off by that much kills live locks. */
const CLOCK_FAIL_MS = 5 * 60_000
const CLOCK_WARN_MS = 30_000

/** @throws what stands in the way */
export async function probeApi({context, repository, signal}: ProbeSubject): Promise<ProbeResult> {
  await repository.ping({signal})
  if (!context) return ok('api', 'the directory is an image layout')
  const {api} = context.urls
  const facts = {url: api.href}
  if (api.protocol === 'http:' && !isLoopback(api.host)) {
    return warn('api', 'the registry answers, over plain http: passwords and plaintext stores can be read on the way', {
      facts,
      next: 'Put TLS in front of the registry, and leave --plain-http out.',
    })
  }

  return ok('api', `the registry answers at ${api.href}`, facts)
}

export async function probeClock({clock, context, signal}: ProbeSubject): Promise<ProbeResult> {
  if (!context) return skip('clock', 'a directory has no clock of its own')
  const before = clock.now()
  const time = await registryTime(context, {signal})
  const middle = (before + clock.now()) / 2
  if (time === undefined) return skip('clock', 'the registry does not say what time it is')
  const skew = Math.round((time - middle) / 1000)
  const facts = {skewSeconds: skew}
  const apart = Math.abs(skew) * 1000
  if (apart < CLOCK_WARN_MS) return ok('clock', 'its clock and ours agree', facts)
  const message = `its clock is ${Math.abs(skew)} seconds ${skew > 0 ? 'ahead of' : 'behind'} ours`
  const details = {facts, next: 'Synchronise both clocks: tokens, certificates and the age of locks depend on them.'}
  const result = warn('clock', message, details)
  return apart < CLOCK_FAIL_MS ? result : {...result, code: 'PROTOCOL', status: 'fail'}
}

/** Reads the whole list, as every other command does. */
export async function probePull(subject: ProbeSubject): Promise<ProbeResult & {readonly tags: number}> {
  let tags = 0
  for await (const tag of subject.repository.tags({signal: subject.signal})) {
    tags += 1
    subject.noteEarlier(tag)
  }

  const counted = `${tags} ${tags === 1 ? 'tag' : 'tags'}`
  return {...ok('pull', `tags can be listed: ${counted}`, {tags}), tags}
}

/** How the registry pages its lists: whether `n` is honoured, and how many a page holds at most. */
export async function probePaging({context, signal}: ProbeSubject, tags: number): Promise<ProbeResult> {
  if (!context) return skip('paging', 'a directory has no pages')
  if (tags < 2) return skip('paging', 'fewer than two tags: nothing to page through')
  const page = await readTagPage(context, context.urls.tags({n: 1}), {signal})
  if (!('tags' in page)) throw page.error
  const facts = {asked: 1, received: page.tags.length}
  if (page.tags.length > 1) return ok('paging', 'n is ignored: lists come in pages of its own size', facts)
  if (page.next) return ok('paging', 'lists are paged by n and Link', facts)
  return {
    ...warn('paging', 'a page of one tag has no link to the next: other programs may take the list for complete', {
      facts,
      next: 'Use a registry, or a proxy before it, that passes the Link header on.',
    }),
  }
}

interface Limit {
  readonly host: RegExp
  readonly tags: number
  readonly what: string
}

/** Documented limits that a store of many packfiles runs into. */
const LIMITS: readonly Limit[] = [
  {host: /\.dkr\.ecr\./, tags: 10_000, what: 'images a repository, an adjustable quota'},
  {host: /(?:^|[-.])(?:docker\.pkg\.dev|gcr\.io)$/, tags: 10_000, what: 'tags, above which lists are incomplete'},
]
/** plakar takes a list of objects in one message of 4 MiB. */
const PLAKAR_LIST: Limit = {
  host: /(?:)/,
  tags: 123_000,
  what: 'objects of one kind, the most that plakar takes in one list',
}
const NEAR = 0.8

export function probeLimits({context}: ProbeSubject, tags: number): ProbeResult {
  const host = context?.urls.api.hostname ?? ''
  const limit = LIMITS.find((candidate) => candidate.host.test(host)) ?? PLAKAR_LIST
  const facts = {limit: limit.tags, tags}
  if (tags < limit.tags * NEAR)
    return ok('limits', `far from the nearest known limit, ${limit.tags} ${limit.what}`, facts)
  return warn('limits', `${tags} tags are near the known limit of ${limit.tags} ${limit.what}`, {
    facts,
    next: 'Let plakar maintenance free packfiles, or begin a second store.',
  })
}

/** Whether this credential lacks a right, as opposed to the registry a function. */
export function isDenied(error: unknown): error is RegistryResponseError {
  return error instanceof RegistryResponseError && (error.status === 401 || error.status === 403)
}

/** The referrers API, which nothing here depends on. */
export async function probeReferrers({context, signal}: ProbeSubject): Promise<ProbeResult> {
  if (!context) return skip('referrers', 'a directory needs no referrers API')
  const url = context.urls.referrers(`sha256:${'0'.repeat(64)}` as Parameters<typeof context.urls.referrers>[0])
  const response = await context.send({access: 'pull', method: 'GET', signal, url})
  if (response.status === 404) {
    await discard(response.body)
    return ok('referrers', 'no referrers API: gc-check sees no untagged manifests here', {status: 404})
  }

  await expectStatus(response, [200], 'GET')
  await discard(response.body)
  return ok('referrers', 'the referrers API answers', {status: 200})
}
