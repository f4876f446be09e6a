import type {Digest} from '../registry/digest.js'
import type {CheckContext} from './context.js'
import type {References} from './references.js'

import {hasCode} from '../errors.js'
import {isDigest} from '../registry/digest.js'
import {parseManifestJson} from '../registry/manifest.js'
import {isObject, isString, type JsonObject} from '../util/json.js'

/** Manifests inside indexes inside indexes are followed so far down, and so many of them. */
const MAX_DEPTH = 4
const MAX_CHILDREN = 1000

/**
 * Learns which manifest a foreign tag is on, and what that refers to. What is wrong with a foreign tag is not ours to say.
 * @returns nothing when it cannot be read
 */
export async function checkForeign(
  tag: string,
  references: References,
  {failures, repository, signal}: CheckContext,
): Promise<Digest | undefined> {
  try {
    if (!references.areKept) return (await repository.manifests.resolve(tag, {signal})).digest
    const {bytes, descriptor} = await repository.manifests.get(tag, {signal})
    await noteReferences(descriptor.digest, bytes, references, {repository, signal})
    return descriptor.digest
  } catch (error) {
    if (hasCode(error, 'INTEGRITY') || hasCode(error, 'NOT_FOUND') || hasCode(error, 'PROTOCOL')) return undefined
    // Rights and interruptions end the check as they do for our own tags; the finding itself is not told.
    failures.failed(error, tag, {})
    return undefined
  }
}

/** Notes a manifest and everything that it names, through indexes too. */
export async function noteReferences(
  digest: Digest,
  bytes: Uint8Array,
  references: References,
  {repository, signal}: Pick<CheckContext, 'repository' | 'signal'>,
): Promise<void> {
  references.add(digest)
  let level = [bytes]
  let left = MAX_CHILDREN
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth++) {
    const next: Uint8Array[] = []
    for (const manifest of level) {
      const {blobs, children} = digestsIn(manifest)
      references.add(...blobs)
      for (const child of children) {
        if (references.has(child) || left === 0) continue
        left -= 1
        references.add(child)
        const fetched = await repository.manifests.get(child, {signal}).catch(() => {})
        if (fetched) next.push(fetched.bytes)
      }
    }

    level = next
  }
}

interface NamedDigests {
  readonly blobs: readonly Digest[]
  readonly children: readonly Digest[]
}

function digestsIn(manifest: Uint8Array): NamedDigests {
  let json: JsonObject
  try {
    json = parseManifestJson(manifest, 'manifest')
  } catch {
    return {blobs: [], children: []}
  }

  const {blobs, config, layers, manifests} = json
  return {
    blobs: [config, ...listOf(layers), ...listOf(blobs)].flatMap((one) => digestOfDescriptor(one)),
    children: listOf(manifests).flatMap((one) => digestOfDescriptor(one)),
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : []
}

function digestOfDescriptor(value: unknown): Digest[] {
  const digest = isObject(value) ? value['digest'] : undefined
  return isString(digest) && isDigest(digest) ? [digest] : []
}
