import {InvalidArgumentError} from '../errors.js'
import {isMac, type Mac} from './mac.js'

/**
 * The kinds of object that a store holds under a MAC, and the configuration, which has none.
 * @see kloset connectors/storage/storage.go `StorageResource`
 */
export type Resource = 'lock' | 'packfile' | 'state'
export type ResourceName = 'config' | Resource

export const RESOURCES: readonly Resource[] = ['packfile', 'state', 'lock']
export const RESOURCE_NAMES: readonly ResourceName[] = ['config', ...RESOURCES]

/** The tag of the configuration. */
export const CONFIG_TAG = 'CONFIG'

/** Tag prefixes as the official plugin writes them; the singular `state-` is its own. */
const PREFIXES: Readonly<Record<Resource, string>> = {
  lock: 'locks-',
  packfile: 'packfiles-',
  state: 'state-',
}

/** What a tag of the repository names. `foreign` is anything that no Kloset writer made: never touched. */
export type TagMeaning =
  | {readonly kind: 'config'}
  | {readonly kind: 'foreign'}
  | {readonly kind: 'object'; readonly mac: Mac; readonly resource: Resource}

export function isResource(value: string): value is Resource {
  return (RESOURCES as readonly string[]).includes(value)
}

/** @throws InvalidArgumentError */
export function parseResource(value: string): Resource {
  if (isResource(value)) return value
  throw new InvalidArgumentError(`not a resource: "${value.slice(0, 80)}"`, {
    suggestions: [`Resources are ${RESOURCES.join(', ')}.`],
  })
}

export function tagOf(resource: Resource, mac: Mac): string {
  return PREFIXES[resource] + mac
}

export function meaningOf(tag: string): TagMeaning {
  if (tag === CONFIG_TAG) return {kind: 'config'}
  for (const resource of RESOURCES) {
    const prefix = PREFIXES[resource]
    if (!tag.startsWith(prefix)) continue
    const mac = tag.slice(prefix.length)
    return isMac(mac) ? {kind: 'object', mac, resource} : {kind: 'foreign'}
  }

  return {kind: 'foreign'}
}

/** The artifact type that our manifests carry: `application/vnd.plakar.kloset.<resource>.v1`. */
export function artifactTypeOf(resource: ResourceName): string {
  return `application/vnd.plakar.kloset.${resource}.v1`
}
