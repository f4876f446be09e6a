import type {Digest} from '../digest.js'

import {RegistryResponseError} from '../errors.js'
import {deletionOf} from '../remote/refusals.js'
import {failed, ok, type ProbeResult, warn} from './result.js'
import {type ProbeSubject} from './subject.js'

/** What became of one DELETE. */
type Answer = {readonly done: boolean; readonly error?: RegistryResponseError}

/**
 * DELETE of a tag, then of a digest: each on an object of its own.
 * @param byTag a tag and its manifest, to be deleted by the tag
 * @param byDigest another, to be deleted by the digest
 */
export async function probeDeletes(
  subject: ProbeSubject,
  byTag: {readonly digest: Digest; readonly tag: string},
  byDigest: {readonly digest: Digest; readonly tag: string},
): Promise<ProbeResult[]> {
  const {context, repository, signal} = subject
  if (!context) {
    const {strategy} = await repository.manifests.untag(byTag.tag, {signal})
    await repository.manifests.delete(byDigest.digest, {signal})
    return [ok('delete-tag', 'tags can be removed', {strategy}), ok('delete-digest', 'manifests can be removed')]
  }

  const tag = await remove(subject, byTag.tag)
  const tagGone = tag.done && !(await subject.has(byTag.tag))
  const manifestStays = tagGone && (await subject.has(byTag.digest))
  const digest = await remove(subject, byDigest.digest)
  const digestGone = digest.done && !(await subject.has(byDigest.tag))
  return [tagResult(tag, {digestGone, manifestStays, tagGone}), digestResult(digest, {digestGone, tagGone})]
}

async function remove({context, signal}: ProbeSubject, reference: string): Promise<Answer> {
  if (!context) return {done: false}
  try {
    const url = context.urls.manifest(reference)
    const deletion = await deletionOf(
      await context.send({access: 'delete', method: 'DELETE', retry: 'safe', signal, url}),
    )
    return deletion.outcome === 'done' ? {done: true} : {done: false, error: deletion.error}
  } catch (error) {
    if (error instanceof RegistryResponseError && error.status < 500 && error.status !== 429)
      return {done: false, error}
    throw error
  }
}

function tagResult(
  {done, error}: Answer,
  {digestGone, manifestStays, tagGone}: {digestGone: boolean; manifestStays: boolean; tagGone: boolean},
): ProbeResult {
  if (tagGone && manifestStays) return ok('delete-tag', 'a tag can be deleted alone')
  if (tagGone) {
    return warn('delete-tag', 'deleting a tag takes its manifest too, and other tags of it', {
      next: 'Remove objects with kloset-oci rm, which looks for other tags first.',
    })
  }

  // By digest is how most registries delete: that alone is no reason to worry.
  if (digestGone) return ok('delete-tag', 'not offered: objects are deleted by digest here', error?.facts)
  const message = done
    ? 'a tag was deleted, acknowledged, and is still there'
    : `tags cannot be deleted${because(error)}`
  return noDeletion('delete-tag', message, error)
}

function digestResult(
  {done, error}: Answer,
  {digestGone, tagGone}: {digestGone: boolean; tagGone: boolean},
): ProbeResult {
  if (digestGone) return ok('delete-digest', 'manifests can be deleted by digest')
  const message = done
    ? 'a manifest was deleted, acknowledged, and is still there'
    : `manifests cannot be deleted by digest${because(error)}`
  if (!tagGone) return noDeletion('delete-digest', message, error)
  return warn('delete-digest', message, {
    ...(error && {facts: error.facts}),
    next: "The registry's own garbage collection must take untagged manifests; plakar's official plugin cannot delete here.",
  })
}

function noDeletion(
  name: 'delete-digest' | 'delete-tag',
  message: string,
  error: RegistryResponseError | undefined,
): ProbeResult {
  const next =
    "Nothing can be deleted: rm, plakar maintenance and the release of locks will not work. Allow deletion in the registry's settings or give this login the right, or use the registry's own interface."
  const base = error ? failed(name, error) : warn(name, message)
  return {...base, message, nextSteps: [next], status: 'fail'}
}

function because(error: RegistryResponseError | undefined): string {
  return error ? `: ${error.message}` : ''
}
