import type {Digest} from '../../registry/digest.js'
import type {RepairAction, RepairStep} from '../plan/types.js'
import type {StoreKeys} from '../store-keys.js'

import {isNotFound, KlosetOciError} from '../../errors.js'
import {type Resource} from '../../kloset/resource.js'
import {digestOf} from '../../registry/digest.js'
import {collect} from '../../util/collect.js'
import {bufferSource} from '../../util/content-source.js'
import {rebuiltState} from '../state-builder.js'
import {type ApplyContext, createdOf, recordName} from './context.js'
import {writeObject} from './write-object.js'

/** A state tells of a million blobs in some hundred megabytes, a packfile has 64 MiB. */
const MAX_STAGED_BYTES = 2 * 1024 ** 3 - 1

/** Builds a lost state out of the indexes of packfiles that no other state knows, and writes it under its tag. */
export async function rebuildState(
  step: RepairStep,
  action: Extract<RepairAction, {readonly kind: 'rebuild-state'}>,
  context: ApplyContext,
): Promise<Digest> {
  const {repository, sealed, signal} = context
  const keys = needKeys(context)
  const bytes = await stagedBytes(step, 'state', context, async () =>
    rebuiltState(repository, {action, created: createdOf(sealed), keys, mac: step.object.mac!, signal}),
  )
  return writeStagedBytes(step, {bytes, resource: 'state', tag: step.tag}, context)
}

/** @throws KlosetOciError `UNAUTHORIZED` when what a step makes cannot be encoded */
export function needKeys({keys}: ApplyContext): StoreKeys {
  if (keys?.codec) return keys
  throw new KlosetOciError('UNAUTHORIZED', 'the passphrase is needed to make new objects of an encrypted store', {
    suggestions: ['Give --passphrase-file FILE, or set PLAKAR_PASSPHRASE.'],
  })
}

/**
 * Bytes that a step makes itself. They are kept in the quarantine, so that a run that is resumed has the very same: what
 * is encrypted never comes out the same twice.
 */
export async function stagedBytes(
  step: RepairStep,
  part: string,
  {quarantine, sealed, signal}: ApplyContext,
  make: () => Promise<Buffer>,
): Promise<Buffer> {
  const name = recordName(sealed, step.id, part)
  const kept = await quarantine.load(name, {signal}).catch((error: unknown) => {
    if (!isNotFound(error)) throw error
  })
  const content = kept?.content ?? (await quarantine.stage(name, step.tag, await make(), {signal}))
  return collect(await quarantine.open(content, {signal}), {limit: MAX_STAGED_BYTES, what: name})
}

/** Writes an object that a step has made under a tag of its own; the journal learns of the tag first. */
export async function writeStagedBytes(
  step: RepairStep,
  {bytes, resource, tag}: {readonly bytes: Buffer; readonly resource: Resource; readonly tag: string},
  context: ApplyContext,
): Promise<Digest> {
  const object = {digest: digestOf(bytes), size: bytes.length, source: bufferSource(bytes)}
  return writeObject({id: step.id, object: {resource}, tag}, object, context)
}
