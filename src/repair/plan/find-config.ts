import type {Secret} from '../../kloset/codec/secret.js'
import type {CallOptions, Repository} from '../../registry/interfaces.js'
import type {Copy, Source} from '../sources/source.js'
import type {Origin} from './types.js'

import {hasCode, isNotFound, KlosetOciError} from '../../errors.js'
import {type Configuration, openConfiguration} from '../../kloset/configuration.js'
import {readObjectManifest} from '../../kloset/object-manifest.js'
import {CONFIG_TAG, meaningOf} from '../../kloset/resource.js'
import {MAX_CONFIG_BYTES} from '../../kloset/store.js'
import {type Digest, digestOf} from '../../registry/digest.js'
import {collect} from '../../util/collect.js'
import {readableOf} from '../../util/content-source.js'
import {judgeObject, type ObjectName} from '../proof.js'
import {copyOf} from '../sources/store-source.js'
import {type StoreKeys, storeKeys} from '../store-keys.js'
import {type FoundCopy} from './find-copy.js'

/** Objects of the store that a candidate is held against. */
const SAMPLES = 6

export type Unlock = (configuration: Configuration) => Promise<Secret | undefined>

/** The configuration of a store, from CONFIG or from a copy of it. */
export interface KnownConfig {
  /** None when it is the store's own, and sound. */
  readonly copy: FoundCopy | undefined
  readonly keys: StoreKeys
}

interface Sample extends ObjectName {
  readonly layer: Digest
}

/** CONFIG of the store itself, when it can be read and is one. */
export async function ownConfig(
  repository: Repository,
  unlock: Unlock,
  {signal}: CallOptions = {},
): Promise<StoreKeys | undefined> {
  try {
    const {layer} = readObjectManifest(await repository.manifests.get(CONFIG_TAG, {signal}), CONFIG_TAG)
    const copy = await copyOf(repository, layer, {name: CONFIG_TAG, signal})
    return copy && (await openConfig(await bytesOf(copy, signal), unlock))
  } catch (error) {
    // The passphrase is wrong: that says nothing about the store.
    if (hasCode(error, 'UNAUTHORIZED')) throw error
    return passOver(error)
  }
}

/**
 * Looks for CONFIG in the sources. A candidate is believed when an object of the store bears it out: by a MAC under its
 * key, or, of an encrypted store without its passphrase, by the source having that very object too.
 */
export async function findConfig(
  repository: Repository,
  {
    expected,
    signal,
    sources,
    unlock,
  }: CallOptions & {
    /** The digest that the store's own manifest names. */
    readonly expected: Digest | undefined
    readonly sources: readonly Source[]
    readonly unlock: Unlock
  },
): Promise<KnownConfig | undefined> {
  const samples = await samplesOf(repository, signal)
  const wanted = {digest: expected, resource: 'config', tag: CONFIG_TAG} as const
  for (const [number, source] of sources.entries()) {
    for await (const copy of source.copies(wanted, {signal})) {
      try {
        const bytes = await bytesOf(copy, signal)
        const keys = await openConfig(bytes, unlock)
        const digest = digestOf(bytes)
        const proof = await prove({digest, expected, keys, repository, samples, signal, source})
        if (!proof) continue
        const origin: Origin = {digest, proof, size: bytes.length, source: number}
        const sound = {...copy, digest, open: async () => readableOf(bytes), size: bytes.length}
        return {copy: {copy: sound, origin}, keys}
      } catch (error) {
        passOver(error)
      }
    }
  }

  return undefined
}

interface Proving {
  readonly digest: Digest
  readonly expected: Digest | undefined
  readonly keys: StoreKeys
  readonly repository: Repository
  readonly samples: readonly Sample[]
  readonly signal: AbortSignal | undefined
  readonly source: Source
}

async function prove({
  digest,
  expected,
  keys,
  repository,
  samples,
  signal,
  source,
}: Proving): Promise<Origin['proof'] | undefined> {
  if (digest === expected) return 'digest'
  for (const sample of samples) {
    const own = await copyOf(repository, sample.layer, {name: sample.tag, signal})
    if (!own) continue
    if (keys.contents.areKnown) {
      const judged = await judgeObject(sample, await own.open({signal}), {keys, size: own.size}).catch(passOver)
      if (judged?.isAuthentic) return 'mac'
      continue
    }

    for await (const copy of source.copies({...sample, digest: sample.layer}, {signal})) {
      const judged = await judgeObject(sample, await copy.open({signal}), {keys: undefined, size: copy.size}).catch(
        passOver,
      )
      if (judged?.digest === sample.layer) return 'same-store'
    }
  }

  return undefined
}

/** Some objects of the store whose manifests can be read, small kinds first. */
async function samplesOf(repository: Repository, signal: AbortSignal | undefined): Promise<Sample[]> {
  const [packfiles, others]: [string[], string[]] = [[], []]
  for await (const tag of repository.tags({signal})) {
    const meaning = meaningOf(tag)
    if (meaning.kind !== 'object') continue
    const list = meaning.resource === 'packfile' ? packfiles : others
    if (list.length < SAMPLES) list.push(tag)
    if (others.length === SAMPLES) break
  }

  const samples: Sample[] = []
  for (const tag of [...others, ...packfiles]) {
    const meaning = meaningOf(tag)
    if (meaning.kind !== 'object') continue
    try {
      const {layer} = readObjectManifest(await repository.manifests.get(tag, {signal}), tag)
      samples.push({layer, mac: meaning.mac, resource: meaning.resource, tag})
    } catch (error) {
      passOver(error)
    }
  }

  return samples
}

async function openConfig(bytes: Buffer, unlock: Unlock): Promise<StoreKeys> {
  const configuration = await openConfiguration(bytes)
  const secret = configuration.encryption ? await unlock(configuration) : undefined
  if (secret) await openConfiguration(bytes, {secret: secret.bytes})
  return storeKeys(configuration, secret)
}

async function bytesOf(copy: Copy, signal: AbortSignal | undefined): Promise<Buffer> {
  return collect(await copy.open({signal}), {limit: MAX_CONFIG_BYTES, what: copy.name})
}

/** What is damaged or another store's is no candidate. */
function passOver(error: unknown): undefined {
  if (isNotFound(error)) return
  const codes = ['DAMAGE', 'INTEGRITY', 'PROTOCOL', 'STORE_FORMAT', 'UNAUTHORIZED'] as const
  if (
    error instanceof KlosetOciError &&
    codes.some((code) => hasCode(error, code) && error.facts['status'] === undefined)
  )
    return
  throw error
}
