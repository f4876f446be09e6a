import type {CallOptions, Repository} from '../registry/interfaces.js'

import {AlreadyExistsError, hasCode, isNotFound, NotFoundError} from '../errors.js'
import {CONFIG_TAG} from './resource.js'
import {KlosetStore, type StoreOptions} from './store.js'

export type OpenStoreOptions = CallOptions & Omit<StoreOptions, 'configuration'>

/**
 * Opens the store that lies in a repository.
 * @throws NotFoundError when there is no CONFIG; it says whether other objects of a store are there
 */
export async function openStore(repository: Repository, options: OpenStoreOptions = {}): Promise<KlosetStore> {
  const {signal} = options
  const store = new KlosetStore(repository, options)
  try {
    await store.getConfig({signal})
  } catch (error) {
    if (isNotFound(error)) throw await noStore(store, error, signal)
    throw error
  }

  return store
}

/**
 * Makes sure that there is a store, with its CONFIG or without: an empty list says nothing of one that is not there.
 * @throws NotFoundError
 */
export async function requireStore(repository: Repository, {signal}: CallOptions = {}): Promise<void> {
  const store = new KlosetStore(repository)
  for await (const {kind} of store.listAll({signal})) if (kind !== 'foreign') return
  throw nothingHere(store)
}

/**
 * Makes a new store: writes CONFIG and nothing else. Tags know no compare-and-swap, so it looks before it writes and
 * reads back afterwards: a creation that was overtaken meanwhile says so.
 * @param configuration CONFIG's bytes as `sealConfiguration` or plakar makes them
 * @throws AlreadyExistsError when the repository holds a store, or objects of one whose CONFIG has gone
 */
export async function createStore(
  repository: Repository,
  configuration: Uint8Array,
  options: OpenStoreOptions = {},
): Promise<KlosetStore> {
  const {signal} = options
  const store = new KlosetStore(repository, {...options, configuration})
  if (await hasTag(repository, signal)) {
    throw new AlreadyExistsError(`${repository.location}: there is a store already`, {
      facts: {tag: CONFIG_TAG},
      suggestions: ['Take another repository, or open the store that is there.'],
    })
  }

  const objects = await countObjects(store, signal)
  if (objects > 0) {
    throw new AlreadyExistsError(
      `${repository.location}: holds ${objects} objects of a store whose ${CONFIG_TAG} has gone`,
      {
        facts: {objects},
        suggestions: [
          `Put the lost ${CONFIG_TAG} back from a copy: a new one would make the objects unreadable.`,
          'Take another repository for a new store.',
        ],
      },
    )
  }

  try {
    await store.putConfig(configuration, {durable: true, signal})
  } catch (error) {
    if (hasCode(error, 'INTEGRITY') && error.facts['actual'] !== undefined) {
      throw new AlreadyExistsError(`${repository.location}: another store was created here at the same moment`, {
        cause: error,
        facts: error.facts,
        suggestions: ['Open the store that is there, or take another repository.'],
      })
    }

    throw error
  }

  return store
}

/** Objects of a Kloset store in the repository, whether or not it has a configuration. */
async function countObjects(store: KlosetStore, signal: AbortSignal | undefined): Promise<number> {
  let count = 0
  for await (const {kind} of store.listAll({signal})) if (kind === 'object') count += 1
  return count
}

async function hasTag(repository: Repository, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await repository.manifests.resolve(CONFIG_TAG, {signal})
    return true
  } catch (error) {
    if (isNotFound(error)) return false
    throw error
  }
}

async function noStore(store: KlosetStore, cause: unknown, signal: AbortSignal | undefined): Promise<NotFoundError> {
  const objects = await countObjects(store, signal)
  if (objects === 0) return nothingHere(store, cause)

  return new NotFoundError(`${store.location}: ${objects} objects of a store but no ${CONFIG_TAG}`, {
    cause,
    facts: {objects, tag: CONFIG_TAG},
    suggestions: [
      `Put ${CONFIG_TAG} back from a copy of the store (\`gc-check\` looks for a lost one); do not run \`create\` here.`,
    ],
  })
}

function nothingHere({location}: KlosetStore, cause?: unknown): NotFoundError {
  return new NotFoundError(`${location}: no store here`, {
    cause,
    facts: {objects: 0, tag: CONFIG_TAG},
    suggestions: ['Check the reference, or make a store with `create`.'],
  })
}
