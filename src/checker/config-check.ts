import type {Secret} from '../kloset/codec/secret.js'
import type {Configuration} from '../kloset/configuration.js'
import type {Finding} from './findings.js'

import {hasCode, isNotFound, messageOf} from '../errors.js'
import {checkCanary} from '../kloset/codec/encryption.js'
import {openConfiguration} from '../kloset/configuration.js'
import {ENVELOPE_BYTES, HEADER_BYTES, KNOWN_VERSIONS} from '../kloset/envelope.js'
import {CONFIG_TAG} from '../kloset/resource.js'
import {MAX_CONFIG_BYTES} from '../kloset/store.js'
import {MEDIA_TYPE} from '../registry/media-types.js'
import {collect} from '../util/collect.js'
import {type CheckContext, detailsOf, type ObjectResult, type Subject} from './context.js'
import {actualOf, finding} from './failures.js'
import {checkObject} from './object-check.js'
import {isSecretOf} from './secret-proof.js'

const SUBJECT: Subject = {resource: 'config', tag: CONFIG_TAG}

export interface ConfigResult extends ObjectResult {
  /** When it could be read. */
  readonly configuration?: Configuration | undefined
}

/** Looks at CONFIG and, whatever the depth of the check, into it: some hundred bytes on which all others depend. */
export async function checkConfig(
  context: CheckContext,
  {secret}: {readonly secret?: Secret | undefined},
): Promise<ConfigResult> {
  const result = await checkObject(SUBJECT, {...context, deep: false})
  if (!result.manifest || result.size === 0) return asConfig(result)
  const {layer} = result.manifest.content
  const details = {...detailsOf(SUBJECT), digest: layer}
  const {failures, onBytes, repository, signal} = context
  let bytes: Buffer
  try {
    const target = {digest: layer, mediaType: MEDIA_TYPE.octetStream, size: result.size}
    const stream = await repository.blobs.fetch(target, {signal})
    bytes = await collect(stream, {limit: MAX_CONFIG_BYTES, what: CONFIG_TAG})
    failures.succeeded()
  } catch (error) {
    if (hasCode(error, 'INTEGRITY')) {
      const corrupt = finding('digest-mismatch', `${CONFIG_TAG}: ${error.message}`, {
        ...details,
        expected: layer,
        found: actualOf(error),
      })
      return {...result, findings: [...result.findings, corrupt]}
    }

    const failed = isNotFound(error)
      ? finding('blob-missing', `${CONFIG_TAG}: its content ${layer} is announced but cannot be read`, details)
      : failures.failed(error, CONFIG_TAG, details)
    return {...result, findings: [...result.findings, failed]}
  }

  onBytes?.(bytes.length)
  try {
    return {...result, configuration: await openConfiguration(bytes, {secret: secret?.bytes})}
  } catch (error) {
    if (secret) await refuseWrongSecret(bytes, secret, context)
    const isNewer = hasCode(error, 'VERSION') && !(await isOtherwiseSound(bytes, secret))
    const kind = isNewer ? 'unknown-version' : 'config-unreadable'
    const unreadable = finding(kind, messageOf(error), details)
    return {
      ...result,
      findings: [...result.findings.filter(({kind: other}) => other !== 'envelope-invalid'), unreadable],
    }
  }
}

/**
 * A MAC that is wrong because the secret is says nothing about the store; a canary that is damaged says nothing about the
 * secret.
 * @throws KlosetOciError `UNAUTHORIZED`
 */
async function refuseWrongSecret(bytes: Buffer, secret: Secret, context: CheckContext): Promise<void> {
  const configuration = await openConfiguration(bytes).catch(() => {})
  if (!configuration?.encryption) return
  try {
    checkCanary(configuration.encryption, secret)
  } catch (error) {
    if (hasCode(error, 'UNAUTHORIZED') && !(await isSecretOf(secret, context))) throw error
  }
}

/** Whether the MAC is that of the same configuration in a version that is known: then only the version was damaged. */
async function isOtherwiseSound(bytes: Buffer, secret: Secret | undefined): Promise<boolean> {
  if (bytes.length < ENVELOPE_BYTES) return false
  for (const version of KNOWN_VERSIONS.config) {
    const known = Buffer.from(bytes)
    known.writeUInt32LE(version, HEADER_BYTES - 4)
    const isSound = await openConfiguration(known, {secret: secret?.bytes}).then(
      ({encryption}) => encryption === undefined || secret !== undefined,
      () => false,
    )
    if (isSound) return true
  }

  return false
}

/** An empty CONFIG is not one more short object: nothing of the store can be read without it. */
function asConfig(result: ObjectResult): ConfigResult {
  const findings: Finding[] = result.findings.map((one) =>
    one.kind === 'envelope-invalid'
      ? finding('config-unreadable', `${CONFIG_TAG}: is empty`, {...detailsOf(SUBJECT), digest: one.digest})
      : one,
  )
  return {...result, findings}
}
