import type {FetchedManifest} from '../registry/manifest.js'
import type {Finding, FindingDetails} from './findings.js'

import {hasCode, isNotFound, KlosetOciError, messageOf} from '../errors.js'
import {ENVELOPE_BYTES} from '../kloset/envelope.js'
import {isEmptied, type ObjectManifest, readObjectManifest} from '../kloset/object-manifest.js'
import {artifactTypeOf} from '../kloset/resource.js'
import {type Digest, isDigest} from '../registry/digest.js'
import {ANNOTATION} from '../registry/media-types.js'
import {checkContent} from './content-check.js'
import {type CheckContext, detailsOf, type ObjectResult, type Subject} from './context.js'
import {actualOf, factsOf, finding} from './failures.js'

/** Looks at one tag: manifest, layer, sizes and names; the content too when the check is a deep one. */
export async function checkObject(subject: Subject, context: CheckContext): Promise<ObjectResult> {
  const details = detailsOf(subject)
  const fetched = await fetchManifest(subject, details, context)
  if ('kind' in fetched) return {findings: [fetched], size: 0}
  const {digest} = fetched.descriptor
  let content: ObjectManifest
  try {
    content = readObjectManifest(fetched, subject.tag)
  } catch (error) {
    const malformed = finding('manifest-malformed', messageOf(error), {...details, digest})
    if (!isEmptied(error)) return {findings: [malformed], size: 0}
    const cutOff = removalCutOff(subject, digest, 'nothing of it is left but the tag')
    // Nobody may do without a configuration.
    if (subject.resource === 'config') return {findings: [malformed, cutOff], size: 0}
    return {findings: [cutOff], isEmptied: true, size: 0}
  }

  const findings = judgeManifest(subject, content, {...details, digest})
  if (content.isStandIn) findings.push(removalCutOff(subject, digest, 'the object is still there'))
  const layer = await checkLayer(subject, content, context)
  findings.push(...layer.findings)
  if (context.deep && layer.isThere) {
    findings.push(...(await checkContent(subject, {digest: content.layer, size: layer.size}, context)))
  }

  return {findings, manifest: {content, digest}, size: layer.size}
}

async function fetchManifest(
  {tag}: Subject,
  details: FindingDetails,
  {failures, repository, signal}: CheckContext,
): Promise<FetchedManifest | Finding> {
  try {
    const fetched = await repository.manifests.get(tag, {signal})
    failures.succeeded()
    return fetched
  } catch (error) {
    if (isNotFound(error)) {
      failures.succeeded()
      return finding('manifest-missing', `${tag}: the tag is listed but its manifest is missing`, {
        ...details,
        ...factsOf(error),
        digest: digestIn(error, 'digest'),
      })
    }

    if (hasCode(error, 'INTEGRITY')) {
      failures.succeeded()
      const expected = digestIn(error, 'expected')
      return finding('manifest-corrupt', `${tag}: ${error.message}`, {
        ...details,
        digest: expected,
        expected,
        found: actualOf(error),
      })
    }

    return failures.failed(error, tag, details)
  }
}

function digestIn(error: unknown, fact: string): Digest | undefined {
  const value = error instanceof KlosetOciError ? error.facts[fact] : undefined
  return typeof value === 'string' && isDigest(value) ? value : undefined
}

function removalCutOff(subject: Subject, digest: Digest, state: string): Finding {
  const message = `${subject.tag}: its removal was cut off: ${state}`
  return finding('removal-cut-off', message, {...detailsOf(subject), digest, snapshots: undefined})
}

/** What a manifest says against the tag that it is under. */
function judgeManifest({resource, tag}: Subject, content: ObjectManifest, details: FindingDetails): Finding[] {
  const findings: Finding[] = []
  const {annotations, artifactType, config, layerCount} = content
  const name = annotations[ANNOTATION.refName]
  if (name !== undefined && name !== tag) {
    findings.push(
      finding('name-mismatch', `${tag}: its manifest was written for ${name.slice(0, 160)}`, {
        ...details,
        expected: tag,
        found: name.slice(0, 160),
      }),
    )
  }

  const type = artifactTypeOf(resource)
  if (artifactType?.startsWith('application/vnd.plakar.kloset.') && artifactType !== type) {
    findings.push(
      finding('type-mismatch', `${tag}: its manifest says ${artifactType.slice(0, 160)}`, {
        ...details,
        expected: type,
        found: artifactType.slice(0, 160),
      }),
    )
  }

  if (layerCount !== 1) {
    findings.push(
      finding('manifest-unusual', `${tag}: its manifest has ${layerCount} layers, of which only the first is read`, {
        ...details,
        expected: 1,
        found: layerCount,
      }),
    )
  }

  if (config === undefined) {
    findings.push(finding('manifest-unusual', `${tag}: its manifest has no valid config descriptor`, details))
  }

  return findings
}

interface LayerResult {
  readonly findings: readonly Finding[]
  readonly isThere: boolean
  readonly size: number
}

async function checkLayer(
  subject: Subject,
  {layer, shape, size: stated}: ObjectManifest,
  {failures, repository, signal}: CheckContext,
): Promise<LayerResult> {
  const {tag} = subject
  const details = {...detailsOf(subject), digest: layer}
  let size: number
  try {
    ;({size} = await repository.blobs.resolve(layer, {signal}))
    failures.succeeded()
  } catch (error) {
    if (!isNotFound(error)) return {findings: [failures.failed(error, tag, details)], isThere: false, size: 0}
    failures.succeeded()
    const missing = finding('blob-missing', `${tag}: its content ${layer} is missing`, {...details, ...factsOf(error)})
    return {findings: [missing], isThere: false, size: 0}
  }

  const findings: Finding[] = []
  if (stated < 0) {
    const who = shape === 'official' ? 'its manifest does not state the size' : 'its manifest states no valid size'
    findings.push(finding('size-unstated', `${tag}: ${who}, ${size} bytes are there`, {...details, found: size}))
  } else if (stated !== size) {
    findings.push(
      finding('size-mismatch', `${tag}: has ${size} bytes, its manifest says ${stated}`, {
        ...details,
        expected: stated,
        found: size,
      }),
    )
  }

  if (size < ENVELOPE_BYTES) {
    findings.push(
      finding('envelope-invalid', `${tag}: ${size} bytes are too few for an object`, {
        ...details,
        expected: ENVELOPE_BYTES,
        found: size,
      }),
    )
  }

  return {findings, isThere: true, size}
}
