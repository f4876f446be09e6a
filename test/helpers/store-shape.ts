import {expect} from 'chai'

import type {Repository} from '../../src/registry/interfaces.js'

import {collectGcCheck} from '../../src/checker/gc-check.js'
import {type Secret} from '../../src/kloset/codec/secret.js'
import {readObjectManifest} from '../../src/kloset/object-manifest.js'
import {digestOf} from '../../src/registry/digest.js'
import {MEDIA_TYPE} from '../../src/registry/media-types.js'
import {collect} from '../../src/util/collect.js'
import {TEST_CLOCK} from './test-store.js'

const LIMIT = 256 * 1024 * 1024

/** What a repository holds, tag by tag: the manifest's digest and the digest of the bytes that are really there. */
export async function contentsOf(repository: Repository): Promise<Record<string, {bytes: string; manifest: string}>> {
  const contents: Record<string, {bytes: string; manifest: string}> = {}
  for await (const tag of repository.tags()) {
    const fetched = await repository.manifests.get(tag)
    const {layer} = readObjectManifest(fetched, tag)
    const stream = await repository.blobs.fetch({digest: layer, mediaType: MEDIA_TYPE.octetStream, size: -1})
    contents[tag] = {
      bytes: digestOf(await collect(stream, {limit: LIMIT, what: tag})),
      manifest: fetched.descriptor.digest,
    }
  }

  return Object.fromEntries(Object.entries(contents).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The bytes alone, by tag: equal for two stores with the same objects, whatever their manifests look like. */
export async function objectsOf(repository: Repository): Promise<Record<string, string>> {
  return Object.fromEntries(Object.entries(await contentsOf(repository)).map(([tag, {bytes}]) => [tag, bytes]))
}

/** Fails unless a store is whole: everything that a tag or a state promises is there, byte by byte. */
export async function expectWhole(repository: Repository, what: string, secret?: Secret): Promise<void> {
  const {findings} = await collectGcCheck(repository, {clock: TEST_CLOCK, deep: true, secret})
  const errors = findings.filter(({severity}) => severity === 'error').map(({kind, message}) => `${kind}: ${message}`)
  expect(errors, what).to.deep.equal([])
}
