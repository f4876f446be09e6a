import type {Codec} from '../kloset/codec/codec.js'
import type {Secret} from '../kloset/codec/secret.js'

import {ContentKeys} from '../checker/content-keys.js'
import {codecOf} from '../checker/decoder.js'
import {checkCanary} from '../kloset/codec/encryption.js'
import {type Configuration, hashingOf, macKeyOf} from '../kloset/configuration.js'

/** What a store's objects are checked and made with. */
export interface StoreKeys {
  /** None for an encrypted store without its passphrase. */
  readonly codec: Codec | undefined
  readonly configuration: Configuration
  readonly contents: ContentKeys
  readonly secret: Secret | undefined
}

/**
 * @throws KlosetOciError `UNAUTHORIZED` when the secret is not the store's
 * @throws VersionError for a store of a kind that this program does not know
 */
export async function storeKeys(configuration: Configuration, secret?: Secret): Promise<StoreKeys> {
  const {encryption} = configuration
  if (encryption && secret) checkCanary(encryption, secret)
  const key = await macKeyOf(configuration, secret?.bytes)
  const encrypted = encryption !== undefined
  return {
    codec: await codecOf(configuration, secret),
    configuration,
    contents: key ? ContentKeys.known(hashingOf(configuration), key, {encrypted}) : ContentKeys.unknown(),
    secret,
  }
}
