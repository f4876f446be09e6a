import type {Secret} from '../kloset/codec/secret.js'
import type {Mac} from '../kloset/mac.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'

import {AlreadyExistsError, hasCode, IntegrityError, isNotFound, messageOf} from '../errors.js'
import {checkCanary} from '../kloset/codec/encryption.js'
import {type Configuration, hashingOf, macKeyOf, openConfiguration} from '../kloset/configuration.js'
import {EnvelopeChecker} from '../kloset/envelope.js'
import {createHasher} from '../kloset/hashing.js'
import {CONFIG_TAG, type Resource, tagOf} from '../kloset/resource.js'
import {KlosetStore} from '../kloset/store.js'

/** How well a configuration is known to be the store's own. */
export interface ConfigProof {
  /** Objects whose MAC was looked at. */
  readonly checked: number
  /**
   * `proven`: an object's MAC is made with its key. `no-objects`: there is none to try it on. `no-passphrase`: the key
   * is not known. `unreadable`: there are objects, and none could be read whole.
   */
  readonly state: 'no-objects' | 'no-passphrase' | 'proven' | 'unreadable'
}

export interface SoundConfig {
  readonly bytes: Buffer
  readonly configuration: Configuration
  /** False for an encrypted store without its passphrase. */
  readonly isAuthentic: boolean
}

export interface ConfigOptions extends CallOptions {
  readonly secret?: Secret | undefined
}

/** So many objects are tried before nothing is said: one right MAC is proof, and damage is rare. */
const MAX_TRIED = 6
/** Of each kind, in this order: states and locks are small. */
const ORDER: readonly Resource[] = ['lock', 'state', 'packfile']

/**
 * A configuration whose envelope, version and content are sound, and its MAC as far as its key is known.
 * @throws StoreFormatError | VersionError
 * @throws KlosetOciError `UNAUTHORIZED` when the secret is another store's
 */
export async function readSoundConfig(bytes: Buffer, {secret}: ConfigOptions = {}): Promise<SoundConfig> {
  const {encryption} = await openConfiguration(bytes)
  if (encryption && secret) checkCanary(encryption, secret)
  const configuration = await openConfiguration(bytes, {secret: secret?.bytes})
  return {bytes, configuration, isAuthentic: encryption === undefined || secret !== undefined}
}

/**
 * Tries a configuration's key on the objects of a repository: it follows from the repository's identifier, or from the
 * passphrase.
 * @throws IntegrityError when objects are there, whole, and none has a MAC made with that key
 */
export async function proveConfig(
  repository: Repository,
  configuration: Configuration,
  {secret, signal}: ConfigOptions = {},
): Promise<ConfigProof> {
  const samples = await sampleObjects(repository, signal)
  if (samples.length === 0) return {checked: 0, state: 'no-objects'}
  const key = await macKeyOf(configuration, secret?.bytes)
  if (!key) return {checked: 0, state: 'no-passphrase'}
  let checked = 0
  for (const {mac, resource} of samples) {
    const checker = new EnvelopeChecker(await createHasher(hashingOf(configuration), key))
    try {
      const stream = await new KlosetStore(repository).get(resource, mac, {signal})
      for await (const chunk of stream as AsyncIterable<Buffer>) checker.update(chunk)
      const {authentic} = checker.finish(tagOf(resource, mac))
      checked += 1
      if (authentic === true) return {checked, state: 'proven'}
    } catch (error) {
      // Damaged ones prove nothing.
      if (!isNotFound(error) && !isUnsound(error)) throw error
    }
  }

  if (checked === 0) return {checked, state: 'unreadable'}
  throw new IntegrityError(`${repository.location}: this configuration is another store's`, {
    facts: {checked},
    suggestions: [
      `None of the ${checked} objects that were tried has a MAC made with its key: look for the copy that belongs here.`,
    ],
  })
}

export interface ImportResult {
  readonly proof: ConfigProof
  /** What CONFIG held before, when it could be read and was something else. */
  readonly replaced: Buffer | undefined
  readonly written: boolean
}

/**
 * Puts a saved configuration back, and reads it again.
 * @param replaceSound also over another configuration that is sound
 * @param keep is given what is replaced before anything is written
 * @throws AlreadyExistsError when a sound one with other content is there
 * @throws IntegrityError when the objects say that it is another store's, or when something else is read back
 */
export async function importConfig(
  repository: Repository,
  config: SoundConfig,
  options: ConfigOptions & {
    readonly keep: (replaced: Buffer) => Promise<void>
    readonly replaceSound: boolean
  },
): Promise<ImportResult> {
  const {keep, replaceSound, secret, signal} = options
  const current = await readCurrent(repository, signal)
  const isSame = current.bytes?.equals(config.bytes) ?? false
  if (current.isSound && !isSame && !replaceSound) {
    throw new AlreadyExistsError(`${repository.location}: has a sound ${CONFIG_TAG}, and it is not this one`, {
      facts: {tag: CONFIG_TAG},
      suggestions: [
        'Nothing was written. Compare the two with `info`; keep a copy of the present one with `config export`.',
        'To replace it all the same: --replace-sound-config.',
      ],
    })
  }

  const proof = await proveConfig(repository, config.configuration, {secret, signal})
  const replaced = isSame ? undefined : current.bytes
  if (replaced) await keep(replaced)
  // The same bytes again heal what may have gone below the tag.
  await new KlosetStore(repository).putConfig(config.bytes, {durable: true, overwrite: true, signal})
  const back = await new KlosetStore(repository).getConfig({signal})
  if (!back.equals(config.bytes)) {
    throw new IntegrityError(`${repository.location}: ${CONFIG_TAG} is read back as something else`, {
      suggestions: ['Another writer may have written it at the same moment: look at both, then import again.'],
    })
  }

  return {proof, replaced, written: !isSame}
}

async function readCurrent(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<{readonly bytes?: Buffer; readonly isSound: boolean}> {
  let bytes: Buffer
  try {
    bytes = await new KlosetStore(repository).getConfig({signal})
  } catch (error) {
    if (isNotFound(error) || isUnsound(error)) return {isSound: false}
    throw error
  }

  try {
    await openConfiguration(bytes)
    return {bytes, isSound: true}
  } catch (error) {
    // One of a newer version is sound to those who know it.
    return {bytes, isSound: hasCode(error, 'VERSION')}
  }
}

async function sampleObjects(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<readonly {readonly mac: Mac; readonly resource: Resource}[]> {
  const found: Record<Resource, Mac[]> = {lock: [], packfile: [], state: []}
  for await (const entry of new KlosetStore(repository).listAll({signal})) {
    if (entry.kind === 'object' && found[entry.resource].length < MAX_TRIED) found[entry.resource].push(entry.mac)
  }

  // Some of each kind: all locks may be of an older store's.
  return ORDER.flatMap((resource) => found[resource].slice(0, MAX_TRIED / ORDER.length).map((mac) => ({mac, resource})))
}

function isUnsound(error: unknown): boolean {
  return (['DAMAGE', 'INTEGRITY', 'PROTOCOL', 'STORE_FORMAT'] as const).some((code) => hasCode(error, code))
}

/** For messages: what a proof is worth, in words. */
export function proofWords({checked, state}: ConfigProof): string {
  switch (state) {
    case 'no-objects': {
      return 'no objects there to try it on'
    }

    case 'no-passphrase': {
      return 'not tried on the objects: that needs the passphrase'
    }

    case 'proven': {
      return 'proven: objects there have MACs made with its key'
    }

    case 'unreadable': {
      return `not proven: no object there could be read whole (${checked} tried)`
    }

    default: {
      return messageOf(state satisfies never)
    }
  }
}
