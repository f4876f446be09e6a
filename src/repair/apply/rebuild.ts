import type {Digest} from '../../registry/digest.js'
import type {RepairAction, RepairStep} from '../plan/types.js'
import type {StoreKeys} from '../store-keys.js'

import {isNotFound, KlosetOciError} from '../../errors.js'
import {spool} from '../../util/spool.js'
import {packfileIndexOf} from '../packfile-access.js'
import {buildState, type IndexedPackfile} from '../state-builder.js'
import {type ApplyContext, recordName} from './context.js'
import {writeObject} from './write-object.js'

/** Builds a lost state out of the indexes of packfiles that no other state knows, and writes it under its tag. */
export async function rebuildState(
  step: RepairStep,
  {packfiles}: Extract<RepairAction, {readonly kind: 'rebuild-state'}>,
  context: ApplyContext,
): Promise<Digest> {
  const {repository, signal} = context
  const keys = needKeys(context)
  return writeStaged(step, 'state', context, async () => {
    const indexed: IndexedPackfile[] = []
    for (const mac of packfiles) indexed.push({index: await packfileIndexOf(repository, mac, keys, {signal}), mac})
    return buildState({
      keys,
      mac: step.object.mac!,
      packfiles: indexed,
      serial: Buffer.from(keys.configuration.repositoryId),
    })
  })
}

/** @throws KlosetOciError `UNAUTHORIZED` when what a step makes cannot be encoded */
export function needKeys({keys}: ApplyContext): StoreKeys {
  if (keys?.codec) return keys
  throw new KlosetOciError('UNAUTHORIZED', 'the passphrase is needed to make new objects of an encrypted store', {
    suggestions: ['Give --passphrase-file FILE, or set PLAKAR_PASSPHRASE.'],
  })
}

/**
 * Writes bytes that the step makes itself. They are kept in the quarantine first, so that a run that is resumed writes
 * the very same: what is encrypted never comes out the same twice.
 */
export async function writeStaged(
  step: RepairStep,
  part: string,
  context: ApplyContext,
  make: () => Promise<Buffer>,
): Promise<Digest> {
  const {quarantine, sealed, signal} = context
  const name = recordName(sealed, step.id, part)
  const kept = await quarantine.load(name, {signal}).catch((error: unknown) => {
    if (!isNotFound(error)) throw error
  })
  const content = kept?.content ?? (await quarantine.stage(name, step.tag, await make(), {signal}))
  const bytes = await spool(await quarantine.open(content, {signal}), {signal})
  try {
    return await writeObject(step, {digest: content.digest, force: false, size: bytes.size, source: bytes}, context)
  } finally {
    await bytes.dispose()
  }
}
