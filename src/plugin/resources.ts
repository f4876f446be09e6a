import type {Resource} from '../kloset/resource.js'

import {UnsupportedError} from '../errors.js'
import {type Mac, MAC_BYTES} from '../kloset/mac.js'
import {invalidRequest} from './failures.js'

/** Numbers of the protocol. */
const RESOURCE_TYPES: ReadonlyMap<number, Resource> = new Map([
  [1, 'packfile'],
  [2, 'state'],
  [3, 'lock'],
])

const ECC_TYPES = new Set([4, 5])

/** @throws UnsupportedError for error-correcting data, InvalidArgumentError for what nobody knows */
export function resourceOf(type: number): Resource {
  const resource = RESOURCE_TYPES.get(type)
  if (resource) return resource
  if (ECC_TYPES.has(type)) {
    throw new UnsupportedError('error-correcting data is not supported in an OCI store', {
      suggestions: ['Turn error correction off for this store: the registry and `verify` check every byte by digest.'],
    })
  }

  throw invalidRequest(`plakar asked for a resource of type ${type}, which this plugin does not know`)
}

/** @throws InvalidArgumentError */
export function macOf(bytes: Buffer): Mac {
  if (bytes.length === MAC_BYTES) return bytes.toString('hex') as Mac
  throw invalidRequest(`plakar sent a MAC of ${bytes.length} bytes instead of ${MAC_BYTES}`)
}
