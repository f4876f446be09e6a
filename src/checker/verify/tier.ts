import type {Secret} from '../../kloset/codec/secret.js'
import type {Configuration} from '../../kloset/configuration.js'
import type {Finding} from '../findings.js'
import type {JudgeKeys} from './packfile-judge.js'

import {hasCode, KlosetOciError} from '../../errors.js'
import {hashingOf, macKeyOf} from '../../kloset/configuration.js'
import {CONFIG_TAG} from '../../kloset/resource.js'
import {codecOf} from '../decoder.js'
import {finding} from '../failures.js'

/**
 * How deep a store is looked into; each tier includes those before it. 1: every byte against its digest, no key. 2: the
 * MACs, and all that says where things lie. 3: every blob.
 */
export const TIERS = ['digest', 'mac', 'data'] as const
export type Tier = (typeof TIERS)[number]

export function isTier(value: string): value is Tier {
  return (TIERS as readonly string[]).includes(value)
}

/** Whether what was checked in one tier is checked as well as in the other. */
export function covers(tier: Tier, needed: Tier): boolean {
  return TIERS.indexOf(tier) >= TIERS.indexOf(needed)
}

/** The tier that a store can be checked in, and what that takes. */
export interface TierChoice {
  readonly finding?: Finding | undefined
  /** None when the store's MACs cannot be checked. */
  readonly keys?: JudgeKeys | undefined
  /** Why it is not a higher tier, in a sentence; none when it is the one that was asked for, or the highest. */
  readonly reason?: string | undefined
  readonly tier: Tier
}

/**
 * Settles the tier: the one that was asked for, or the highest that the key allows.
 * @param configuration what could be read of CONFIG
 * @throws KlosetOciError `UNAUTHORIZED` when the tier that was asked for needs a passphrase that is not there
 */
export async function chooseTier(
  configuration: Configuration | undefined,
  {secret, tier}: {readonly secret?: Secret | undefined; readonly tier?: Tier | undefined},
): Promise<TierChoice> {
  if (!configuration) {
    const reason = tier === 'digest' ? undefined : 'CONFIG could not be read, and with it no MAC and nothing inside'
    return {reason, tier: 'digest'}
  }

  if (configuration.encryption && !secret) {
    if (tier !== undefined && tier !== 'digest') {
      throw new KlosetOciError('UNAUTHORIZED', `the store is encrypted: --tier ${tier} needs its passphrase`, {
        facts: {tier},
        suggestions: [
          'Give it with --passphrase-file, PLAKAR_PASSPHRASE, or at the prompt.',
          'Without it, --tier digest checks that every byte is still what was written.',
        ],
      })
    }

    const reason = tier === 'digest' ? undefined : 'the store is encrypted and its passphrase was not given'
    return {reason, tier: 'digest'}
  }

  try {
    const key = await macKeyOf(configuration, secret?.bytes)
    await codecOf(configuration, secret)
    const {compression, encryption} = configuration
    const hashing = hashingOf(configuration)
    return {
      keys: key && {compression, encryption, hashing, key, secret: encryption && secret?.bytes},
      tier: tier ?? 'data',
    }
  } catch (error) {
    if (!hasCode(error, 'VERSION')) throw error
    const unknown = finding('unknown-version', error.message, {object: {resource: 'config'}, tag: CONFIG_TAG})
    return {finding: unknown, reason: error.message, tier: 'digest'}
  }
}
