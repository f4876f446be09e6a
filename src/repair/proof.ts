import type {Mac} from '../kloset/mac.js'
import type {ResourceName} from '../kloset/resource.js'
import type {StoreKeys} from './store-keys.js'

import {DataHasher} from '../checker/content-check.js'
import {messageOf} from '../errors.js'
import {EnvelopeChecker, KNOWN_VERSIONS, resourceOfType} from '../kloset/envelope.js'
import {type Digest, Digester} from '../registry/digest.js'

/** The object that some bytes are to be. */
export interface ObjectName {
  readonly mac?: Mac | undefined
  readonly resource: ResourceName
  readonly tag: string
}

/** What a look at bytes came to. */
export interface Judgement {
  readonly digest: Digest
  /** Whether its MAC was checked and is right: undefined without a key. */
  readonly isAuthentic: boolean | undefined
  /** What a packfile's content names it, when the key is known. */
  readonly name?: string | undefined
  /** Why they are not the object. */
  readonly problem?: string | undefined
  readonly size: number
}

/**
 * Reads bytes to their end and judges whether they are the object: digest, envelope, kind, MAC, and the name where it
 * follows from the content.
 * @param size what the bytes are said to have
 * @throws what the stream throws
 */
export async function judgeObject(
  {mac, resource, tag}: ObjectName,
  stream: AsyncIterable<unknown>,
  {keys, size}: {readonly keys: StoreKeys | undefined; readonly size: number},
): Promise<Judgement> {
  const read = async (
    hasher?: ConstructorParameters<typeof EnvelopeChecker>[0],
    naming?: ConstructorParameters<typeof DataHasher>[0],
  ): Promise<Judgement> => {
    const checker = new EnvelopeChecker(hasher)
    const digester = new Digester()
    const name = naming && new DataHasher(naming, size)
    for await (const piece of stream) {
      const chunk = piece as Buffer
      checker.update(chunk)
      digester.update(chunk)
      name?.update(chunk)
    }

    const base = {digest: digester.value(), size: digester.size}
    let envelope: ReturnType<EnvelopeChecker['finish']>
    try {
      envelope = checker.finish(tag)
    } catch (error) {
      return {...base, isAuthentic: undefined, problem: messageOf(error)}
    }

    const isAuthentic = envelope.authentic
    const actual = resource === 'packfile' ? name?.value() : undefined
    const problem = (): string | undefined => {
      if (size >= 0 && base.size !== size) return `has ${base.size} bytes, expected ${size}`
      if (isAuthentic === false) return 'its MAC does not match its content'
      const holds = resourceOfType(envelope.type)
      if (holds !== resource) return `holds a ${holds ?? `type ${envelope.type}`}`
      if (!KNOWN_VERSIONS[resource].includes(envelope.version)) return 'is of a version that this program does not know'
      return mac !== undefined && actual !== undefined && actual !== mac ? `holds the packfile ${actual}` : undefined
    }

    return {...base, isAuthentic, name: actual, problem: problem()}
  }

  return keys ? keys.contents.lend(resource, read) : read()
}
