import type {KlosetOciError} from '../errors.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {StoreListing} from './listing.js'

import {AlreadyExistsError, hasCode, isNotFound} from '../errors.js'
import {type Configuration, formatUuid, openConfiguration} from '../kloset/configuration.js'
import {openStore} from '../kloset/create.js'
import {readObjectManifest} from '../kloset/object-manifest.js'
import {CONFIG_TAG} from '../kloset/resource.js'
import {KlosetStore} from '../kloset/store.js'
import {digestOf} from '../registry/digest.js'
import {objectCount} from './listing.js'

export interface SourceConfiguration {
  readonly bytes: Buffer
  readonly configuration: Configuration
  /** The store's identifier, as plakar prints it. */
  readonly id: string
}

/**
 * The configuration of a store that is to be copied.
 * @throws NotFoundError | StoreFormatError | VersionError: without it nothing of a store can be read
 */
export async function readSourceConfiguration(from: Repository, {signal}: CallOptions): Promise<SourceConfiguration> {
  const store = await openStore(from, {signal})
  const bytes = await store.getConfig({signal})
  const configuration = await openConfiguration(bytes)
  return {bytes, configuration, id: formatUuid(configuration.repositoryId)}
}

/** Whether the target has this very configuration, has none, or has it in its tag and not in its storage. */
export type TargetConfiguration = 'absent' | 'broken' | 'same'

/**
 * Looks at the target before anything is written: only nothing at all, or the same store, may be there.
 * @param reading the source's configuration and what the target lists, which are read meanwhile
 * @throws AlreadyExistsError when another store, or part of one, lies there
 */
export async function checkTarget(
  to: Repository,
  reading: {readonly listing: Promise<StoreListing>; readonly source: Promise<SourceConfiguration>},
  {signal}: CallOptions,
): Promise<TargetConfiguration> {
  const found = new KlosetStore(to).getConfig({signal})
  // What is wrong with the source is told first.
  found.catch(() => {})
  const source = await reading.source
  let bytes: Buffer
  try {
    bytes = await found
  } catch (error) {
    if (isNotFound(error)) return absent(source, to, await reading.listing)
    // The tag is there and its content is not: the same digest again is the same configuration.
    if (hasCode(error, 'DAMAGE') && (await namesSame(source, to, signal))) return 'broken'
    throw error
  }

  if (bytes.equals(source.bytes)) return 'same'
  throw await otherStore(source, to, bytes)
}

async function absent({id}: SourceConfiguration, to: Repository, listing: StoreListing): Promise<'absent'> {
  const objects = objectCount(listing)
  if (objects === 0) return 'absent'
  throw new AlreadyExistsError(
    `${to.location}: holds ${objects} objects of a store and no ${CONFIG_TAG}: whether they are of ${id} is not known`,
    {
      facts: {objects, source: id},
      suggestions: [
        `If they are, put the configuration back first: kloset-oci get FROM config | kloset-oci put ${to.location} config -`,
        'Otherwise take another repository.',
      ],
    },
  )
}

/** Whether the target's CONFIG has the digest of the source's bytes. */
async function namesSame(
  {bytes}: SourceConfiguration,
  to: Repository,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const manifest = await to.manifests.get(CONFIG_TAG, {signal})
  return readObjectManifest(manifest, CONFIG_TAG).layer === digestOf(bytes)
}

async function otherStore(source: SourceConfiguration, to: Repository, bytes: Buffer): Promise<KlosetOciError> {
  const found = await openConfiguration(bytes).catch(() => {})
  const id = found && formatUuid(found.repositoryId)
  if (id === source.id) {
    return new AlreadyExistsError(`${to.location}: is the same store ${id}, with another configuration`, {
      facts: {actual: id, expected: source.id},
      suggestions: [
        'Its passphrase may have been changed on one side: compare the two with `info`, and take another repository.',
      ],
    })
  }

  return new AlreadyExistsError(
    `${to.location}: is another store, ${id ?? 'with a configuration that cannot be read'}`,
    {
      facts: {actual: id ?? 'unreadable', expected: source.id},
      suggestions: ['Take another repository: two stores cannot lie in one.'],
    },
  )
}
