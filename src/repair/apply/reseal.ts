import type {Spooled} from '../../util/spool.js'
import type {RepairStep} from '../plan/types.js'
import type {ApplyContext} from './context.js'

import {hasCode} from '../../errors.js'
import {ENVELOPE_BYTES, HEADER_BYTES} from '../../kloset/envelope.js'
import {MAC_BYTES} from '../../kloset/mac.js'
import {type Digest, digestOf} from '../../registry/digest.js'
import {MEDIA_TYPE} from '../../registry/media-types.js'
import {collect} from '../../util/collect.js'
import {bufferSource} from '../../util/content-source.js'
import {replaceBlob, writeObject} from './write-object.js'

/** What is larger is not taken into memory for it. */
const MAX_BYTES = 1024 ** 3

/** The two ways in which an envelope may begin; every reader takes both. */
const MAGICS = ['_KLOSET_', '_PLAKAR_'] as const

/**
 * Puts sound bytes in the place of damaged ones. Some registries keep the damaged ones for as long as the digest is the
 * same; then the object is put into an envelope that begins the other way: the same object with another digest, which
 * those registries take as new.
 * @returns the digest of the manifest, when one had to be written; nothing when the blob alone was replaced
 * @throws KlosetOciError `DAMAGE` when the damaged bytes stay and the store's key is not known
 */
export async function replaceDamaged(
  step: RepairStep,
  copy: Spooled,
  context: ApplyContext,
): Promise<Digest | undefined> {
  const digest = `sha256:${copy.sha256}` as Digest
  try {
    await replaceBlob({digest, mediaType: MEDIA_TYPE.octetStream, size: copy.size}, copy, context)
  } catch (error) {
    const bytes = hasCode(error, 'DAMAGE') ? await resealed(step, copy, context) : undefined
    if (!bytes) throw error
    const object = {digest: digestOf(bytes), size: bytes.length, source: bufferSource(bytes)}
    return writeObject(step, object, context)
  }

  return undefined
}

async function resealed({object, tag}: RepairStep, copy: Spooled, {keys}: ApplyContext): Promise<Buffer | undefined> {
  if (!keys?.contents.areKnown || copy.size < ENVELOPE_BYTES || copy.size > MAX_BYTES) return undefined
  const bytes = await collect(copy.open(), {limit: MAX_BYTES, what: tag})
  const other = MAGICS.find((magic) => magic !== bytes.toString('latin1', 0, magic.length))!
  bytes.write(other, 0, 'latin1')
  return keys.contents.lend(object.resource, async (hasher) => {
    hasher!.update(bytes.subarray(0, HEADER_BYTES))
    hasher!.update(bytes.subarray(HEADER_BYTES, bytes.length - MAC_BYTES))
    hasher!.digest().copy(bytes, bytes.length - MAC_BYTES)
    return bytes
  })
}
