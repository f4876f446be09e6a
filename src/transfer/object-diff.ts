import type {Digest} from '../registry/digest.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'

import {hasCode, isNotFound, KlosetOciError, messageOf} from '../errors.js'
import {readObjectManifest} from '../kloset/object-manifest.js'
import {MEDIA_TYPE} from '../registry/media-types.js'
import {drain} from '../util/drain.js'

/** Where two objects part, from the outside in: the manifest cannot be read, other content, another size, other bytes. */
export type DiffLayer = 'bytes' | 'content' | 'layer' | 'manifest' | 'size'

/** What one side has under a tag. */
export interface DiffSide {
  /** Digest of the content, as the manifest names it. */
  readonly digest?: Digest | undefined
  readonly manifest?: Digest | undefined
  /** Why it cannot be read. */
  readonly problem?: string | undefined
  /** Bytes of the content that are there. */
  readonly size?: number | undefined
}

export interface ObjectDifference {
  readonly layer: DiffLayer
  readonly left: DiffSide
  readonly message: string
  readonly right: DiffSide
}

export interface CompareOptions extends CallOptions {
  readonly deep: boolean
}

/** Codes that tell about the object, not about the way to it. */
const ABOUT_OBJECT = ['DAMAGE', 'INTEGRITY', 'NOT_FOUND', 'PROTOCOL', 'STORE_FORMAT'] as const

/**
 * Compares what two repositories have under a tag: the manifests, the digests of the content, whether the content is
 * there and how long it is, and with `deep` every byte of both against its digest.
 * @returns `rewrapped` for the same content under other manifests
 * @throws what keeps either side from being read
 */
export async function compareObjects(
  tag: string,
  repositories: readonly [Repository, Repository],
  options: CompareOptions,
): Promise<'rewrapped' | 'same' | ObjectDifference> {
  const [left, right] = await Promise.all([look(repositories[0], tag, options), look(repositories[1], tag, options)])
  const sides = {left: left.side, right: right.side}
  const broken = left.broken ?? right.broken
  if (broken === 'manifest') return {...sides, layer: 'manifest', message: `${tag}: ${problemOf(sides)}`}
  if (left.side.digest !== right.side.digest) {
    return {...sides, layer: 'layer', message: `${tag}: has other content on each side`}
  }

  if (broken !== undefined) return {...sides, layer: broken, message: `${tag}: ${problemOf(sides)}`}
  if (left.side.size !== right.side.size) {
    const message = `${tag}: has ${left.side.size} bytes on the left and ${right.side.size} on the right`
    return {...sides, layer: 'size', message}
  }

  return left.side.manifest === right.side.manifest ? 'same' : 'rewrapped'
}

interface Look {
  /** Where it ended. */
  readonly broken?: 'bytes' | 'content' | 'manifest' | undefined
  readonly side: DiffSide
}

async function look(repository: Repository, tag: string, {deep, signal}: CompareOptions): Promise<Look> {
  let side: DiffSide = {}
  let broken: Look['broken'] = 'manifest'
  try {
    const manifest = await repository.manifests.get(tag, {signal})
    side = {manifest: manifest.descriptor.digest}
    const {layer, shape, size: stated} = readObjectManifest(manifest, tag)
    side = {...side, digest: layer}
    broken = 'content'
    const {size} = await repository.blobs.resolve(layer, {signal})
    side = {...side, size}
    // What we counted ourselves can be held against the storage.
    if (shape === 'own' && stated >= 0 && stated !== size) {
      return {broken, side: {...side, problem: `has ${size} bytes, its manifest states ${stated}`}}
    }

    if (!deep) return {side}
    broken = 'bytes'
    const stream = await repository.blobs.fetch({digest: layer, mediaType: MEDIA_TYPE.octetStream, size}, {signal})
    await drain(stream, () => {})
    return {side}
  } catch (error) {
    if (!(error instanceof KlosetOciError) || !ABOUT_OBJECT.some((code) => hasCode(error, code))) throw error
    const what = broken === 'content' && isNotFound(error) ? 'its content is missing' : messageOf(error)
    return {broken, side: {...side, problem: what}}
  }
}

function problemOf({left, right}: Pick<ObjectDifference, 'left' | 'right'>): string {
  const problems = [
    ...(left.problem === undefined ? [] : [`on the left ${left.problem}`]),
    ...(right.problem === undefined ? [] : [`on the right ${right.problem}`]),
  ]
  return problems.join('; ')
}
