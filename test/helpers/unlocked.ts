import type {Secret} from '../../src/kloset/codec/secret.js'

import {type Codec, createCodec} from '../../src/kloset/codec/codec.js'
import {unlock} from '../../src/kloset/codec/kdf.js'
import {type Configuration, hashingOf, macKeyOf, openConfiguration} from '../../src/kloset/configuration.js'
import {createHasher, type Hasher} from '../../src/kloset/hashing.js'
import {goldenObjects} from './golden.js'
import {GOLDEN_PASSPHRASE, type GoldenName} from './hooks.js'

/** A golden store with its keys, read from its files and not through the store's code. */
export interface Unlocked {
  readonly codec: Codec
  readonly configuration: Configuration
  /** Keyed as every MAC of the store is. */
  readonly hasher: Hasher
  readonly name: GoldenName
  /** The bytes under each tag. */
  readonly objects: ReadonlyMap<string, Buffer>
  readonly secret: Secret | undefined
}

const unlocked = new Map<GoldenName, Promise<Unlocked>>()

/** Unlocks a golden store once in a run: the derivation of its key takes a second. */
export async function unlockedGolden(name: GoldenName): Promise<Unlocked> {
  const known = unlocked.get(name) ?? open(name)
  unlocked.set(name, known)
  return known
}

async function open(name: GoldenName): Promise<Unlocked> {
  const objects = new Map(goldenObjects(name).map(({bytes, tag}) => [tag, bytes]))
  const config = objects.get('CONFIG')!
  const {encryption} = await openConfiguration(config)
  const secret = encryption && (await unlock(encryption, GOLDEN_PASSPHRASE))
  const configuration = await openConfiguration(config, {secret: secret?.bytes})
  const key = await macKeyOf(configuration, secret?.bytes)
  return {
    codec: await createCodec(configuration, secret),
    configuration,
    hasher: await createHasher(hashingOf(configuration), key),
    name,
    objects,
    secret,
  }
}
