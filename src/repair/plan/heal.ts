import type {Finding, FindingKind} from '../../checker/findings.js'
import type {Digest} from '../../registry/digest.js'
import type {CallOptions, Repository} from '../../registry/interfaces.js'
import type {ObjectName} from '../proof.js'
import type {StoreKeys} from '../store-keys.js'
import type {RepairAction} from './types.js'

import {hasCode, isNotFound} from '../../errors.js'
import {isMac} from '../../kloset/mac.js'
import {readObjectManifest} from '../../kloset/object-manifest.js'
import {meaningOf} from '../../kloset/resource.js'
import {ANNOTATION} from '../../registry/media-types.js'
import {judgeObject} from '../proof.js'
import {openUnchecked} from '../quarantine.js'
import {looseLayerOf} from '../sources/self-source.js'
import {findCopy, type FindOptions} from './find-copy.js'
import {type SoundCopy} from './overlay.js'

/** An object with what was found about it. */
export interface Patient extends ObjectName {
  readonly findings: readonly Finding[]
}

export type Diagnosis =
  | {readonly action: RepairAction; readonly copy: SoundCopy; readonly kind: 'heal'}
  | {readonly kind: 'lost'; readonly layer: Digest | undefined; readonly reason: string}
  | {readonly kind: 'sound'}

/** Kinds for which a manifest is written anew although the object's bytes are right. */
const MANIFEST_WRONG: ReadonlySet<FindingKind> = new Set([
  'manifest-malformed',
  'removal-cut-off',
  'size-mismatch',
  'size-unstated',
])

export interface HealOptions extends FindOptions {
  readonly keys: StoreKeys | undefined
  readonly repository: Repository
}

interface Manifest {
  /** Whether readers take it, and it says nothing wrong. */
  readonly isSound: boolean
  readonly layer: Digest | undefined
}

/** Finds out what is wrong with an object and what would heal it with the least change. Reads only. */
export async function diagnose(patient: Patient, options: HealOptions): Promise<Diagnosis> {
  const manifest = await lookAtManifest(patient, options)
  if (holdsAnother(patient)) return diagnoseMisnamed(patient, manifest.layer, options)
  const own = manifest.layer && (await lookAtContent(patient, manifest.layer, options))
  if (own?.isSound) {
    if (manifest.isSound) return {kind: 'sound'}
    const {copy} = own
    return {action: {kind: 'rewrite-manifest', layer: copy.digest, size: copy.size}, copy, kind: 'heal'}
  }

  const found = await findCopy({...patient, digest: manifest.layer}, options)
  if (!found) return {kind: 'lost', layer: manifest.layer, reason: reasonOf(patient, own)}
  const {copy, origin} = found
  const {isStored, reuse} = await reuseOf(patient, copy, manifest.layer, options)
  if (reuse) return {action: reuse, copy, kind: 'heal'}
  const force = (copy.digest === manifest.layer && own !== undefined) || isStored
  const action: RepairAction =
    manifest.isSound && copy.digest === manifest.layer
      ? {digest: copy.digest, force, from: origin, kind: 'put-blob'}
      : {force, from: origin, kind: 'put-object'}
  return {action, copy, kind: 'heal'}
}

/** A state that is sound and lies under the tag of another one. Its own bytes are no copy of what is wanted. */
async function diagnoseMisnamed(patient: Patient, layer: Digest | undefined, options: HealOptions): Promise<Diagnosis> {
  const found = await findCopy({...patient, digest: undefined}, options)
  // A mirror of the store may have the same one in its place.
  if (!found || found.copy.digest === layer) return {kind: 'lost', layer, reason: reasonOf(patient)}
  const {copy, origin} = found
  const {reuse} = await reuseOf(patient, copy, layer, options)
  return {action: reuse ?? {force: false, from: origin, kind: 'put-object'}, copy, kind: 'heal'}
}

/** What is less than writing an object anew: its manifest or its bytes may lie in the store. */
async function reuseOf(
  patient: Patient,
  copy: SoundCopy,
  layer: Digest | undefined,
  options: HealOptions,
): Promise<{readonly isStored: boolean; readonly reuse?: RepairAction}> {
  const {repository, signal} = options
  const stored = copy.digest === layer ? undefined : await lookAtContent(patient, copy.digest, options)
  if (!stored?.isSound) return {isStored: stored !== undefined}
  const {digest, manifest, size} = copy
  const isThere = manifest !== undefined && (await hasManifest(repository, manifest, digest, signal))
  const reuse: RepairAction = isThere
    ? {kind: 'retag', layer: digest, manifest}
    : {kind: 'rewrite-manifest', layer: digest, size}
  return {isStored: true, reuse}
}

/** Whether a state is sound and another one than its tag names: its bytes alone do not show it. */
function holdsAnother({findings, resource}: Patient): boolean {
  return (
    resource === 'state' && findings.some(({found, kind}) => kind === 'name-mismatch' && isMac(String(found ?? '')))
  )
}

function reasonOf({findings}: Patient, own?: Content): string {
  const [first] = findings
  const said = first?.message ?? 'it is damaged'
  const problem = own?.problem
  // The check has said so already, as a rule.
  const isSaid = first?.kind === 'digest-mismatch' && first.found !== undefined && first.found === own?.found
  return problem === undefined || isSaid ? said : `${said}; ${problem}`
}

async function lookAtManifest(
  {findings, resource, tag}: Patient,
  {keys, repository, signal}: HealOptions,
): Promise<Manifest> {
  try {
    const fetched = await repository.manifests.get(tag, {signal})
    try {
      const {annotations, layer} = readObjectManifest(fetched, tag)
      const name = annotations[ANNOTATION.refName]
      // Written for another tag of the store. What it holds is that one's, unless the content itself can be asked.
      if (name !== undefined && name !== tag && meaningOf(name).kind !== 'foreign') {
        return {isSound: false, layer: resource === 'packfile' && keys?.contents.areKnown ? layer : undefined}
      }

      return {isSound: findings.every(({kind}) => !MANIFEST_WRONG.has(kind)), layer}
    } catch (error) {
      if (!hasCode(error, 'STORE_FORMAT') && !hasCode(error, 'PROTOCOL')) throw error
      return {isSound: false, layer: looseLayerOf(fetched.bytes)}
    }
  } catch (error) {
    if (isNotFound(error) || hasCode(error, 'INTEGRITY') || hasCode(error, 'PROTOCOL')) {
      return {isSound: false, layer: undefined}
    }

    throw error
  }
}

interface Content {
  readonly copy: SoundCopy
  /** The digest that the bytes have, when it is not the one that they lie under. */
  readonly found?: Digest
  readonly isSound: boolean
  readonly problem: string | undefined
}

/** What the store itself has under a digest; none when it has nothing there. */
async function lookAtContent(
  name: ObjectName,
  digest: Digest,
  {keys, onBytes, repository, signal}: HealOptions,
): Promise<Content | undefined> {
  const opened = await openUnchecked(repository, digest, signal)
  if (!opened) return undefined
  const judged = await judgeObject(name, opened.stream, {keys, size: opened.size})
  onBytes?.(judged.size)
  const found = judged.digest === digest ? undefined : judged.digest
  const problem = found === undefined ? judged.problem : `its bytes have the digest ${found}`
  const open = async (options: CallOptions = {}) =>
    repository.blobs.fetch({digest, mediaType: 'application/octet-stream', size: judged.size}, options)
  const copy = {digest, name: name.tag, open, size: judged.size}
  return {copy, ...(found !== undefined && {found}), isSound: problem === undefined, problem}
}

async function hasManifest(
  repository: Repository,
  manifest: Digest,
  layer: Digest,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    return readObjectManifest(await repository.manifests.get(manifest, {signal}), manifest).layer === layer
  } catch (error) {
    if (
      isNotFound(error) ||
      ['INTEGRITY', 'PROTOCOL', 'STORE_FORMAT'].some((code) => hasCode(error, code as 'INTEGRITY'))
    ) {
      return false
    }

    throw error
  }
}
