import type {RegistryResponseError} from '../errors.js'
import type {HttpResponse} from '../transport/http.js'

import {NotFoundError, UnsupportedError} from '../../errors.js'
import {responseError} from '../errors.js'
import {discard} from '../transport/body.js'

/** What an answer says besides its status: registries disagree on the numbers, and name the reason in the body. */

const ABSENT = ['BLOB_UNKNOWN', 'MANIFEST_UNKNOWN', 'NAME_UNKNOWN']
const DONE: ReadonlySet<number> = new Set([200, 202, 204])

/** Whether the registry says that it does not do this at all, as opposed to: not to this object, not for you. */
export function saysUnsupported(error: RegistryResponseError): boolean {
  if (error.status === 405 || error.status === 501) return true
  if (error.names('UNSUPPORTED')) return true
  // 400 is the specification's other word for "disabled"; distribution 2.8 also says it to a tag, as DIGEST_INVALID.
  return error.status === 400 || (error.status === 404 && error.names('DIGEST_INVALID'))
}

/** How a DELETE ended: done, not there, or not offered. Anything else is thrown. */
export type Deletion =
  {readonly error: RegistryResponseError; readonly outcome: 'absent' | 'refused'} | {readonly outcome: 'done'}

/** @throws RegistryResponseError for 401, 403, 429, 5xx and whatever else is no answer to the question */
export async function deletionOf(response: HttpResponse): Promise<Deletion> {
  if (DONE.has(response.status)) {
    await discard(response.body)
    return {outcome: 'done'}
  }

  const error = await responseError(response, 'DELETE')
  // zot says 400 to a repository that it does not know.
  if (ABSENT.some((code) => error.names(code))) return {error, outcome: 'absent'}
  if (saysUnsupported(error)) return {error, outcome: 'refused'}
  if (error.status === 404) return {error, outcome: 'absent'}
  throw error
}

/** @throws NotFoundError | UnsupportedError in kind, RegistryResponseError in type */
export async function expectDeleted(response: HttpResponse, what: string): Promise<void> {
  const deletion = await deletionOf(response)
  // Gone at a second try: the first one did it, and its answer was lost.
  if (deletion.outcome === 'done' || (deletion.outcome === 'absent' && response.attempts > 1)) return
  if (deletion.outcome === 'refused') throw cannotDelete(what, deletion.error)
  if (deletion.error.code === 'NOT_FOUND') throw deletion.error
  throw new NotFoundError(`${what}: not there`, {cause: deletion.error, facts: deletion.error.facts})
}

export function cannotDelete(what: string, error: RegistryResponseError): UnsupportedError {
  const {host} = new URL(error.url)
  return new UnsupportedError(`${what}: the registry does not delete it`, {
    cause: error,
    facts: {...error.facts, host},
    suggestions: [nextStep(host)],
  })
}

/** Registries whose deletions go another way, by host: what to do there. A hint for people, never a decision. */
const ELSEWHERE: readonly (readonly [RegExp, string])[] = [
  [/(?:^|\.)ghcr\.io$/, "Delete the package's versions with the GitHub Packages API or on its web page."],
  [/(?:^|\.)docker\.io$/, "Delete the tags on Docker Hub's web page or with its own API."],
  [/(?:^|\.)gitlab\.com$/, "Delete the tags with GitLab's container registry API or a cleanup policy."],
]

function nextStep(host: string): string {
  const hostname = host.replace(/:\d+$/, '')
  const known = ELSEWHERE.find(([pattern]) => pattern.test(hostname))
  return known
    ? known[1]
    : 'Allow deletion in its settings (distribution: storage.delete.enabled), or use its own API or web page.'
}
