import {isIPv4, isIPv6 as isIPv6Address} from 'node:net'

import {InvalidReferenceError} from '../errors.js'
import {type Digest, isDigest} from './digest.js'
import {plainText} from './redact.js'
import {isTag} from './tag.js'

/** A repository of a registry, and perhaps one thing in it. */
export interface Reference {
  readonly digest?: Digest
  /** `host` or `host:port` in lower case, an IPv6 address in brackets. As the operator wrote it, not where it is served. */
  readonly registry: string
  readonly repository: string
  readonly tag?: string
}

/** Where a store lies. */
export type StoreLocation =
  {readonly kind: 'layout'; readonly path: string} | {readonly kind: 'registry'; readonly reference: Reference}

const OCI_SCHEME = 'oci://'
const LAYOUT_SCHEME = 'oci-layout:'

/** Whether a repository's `location` is that of an image-layout folder, of which no registry is to be spoken. */
export function isInFolder(location: string): boolean {
  return location.startsWith(LAYOUT_SCHEME)
}

/** @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests */
const REPOSITORY = /^[\da-z]+(?:(?:\.|__?|-+)[\da-z]+)*(?:\/[\da-z]+(?:(?:\.|__?|-+)[\da-z]+)*)*$/
const HOST_LABEL = /^[\da-z](?:[\da-z_-]{0,61}[\da-z])?$/
/** Of host, slash and path together: what registries and other clients agree on. */
const MAX_NAME_LENGTH = 255

export function isRepositoryName(value: string): boolean {
  return value.length <= MAX_NAME_LENGTH && REPOSITORY.test(value)
}

/**
 * Reads `oci://host[:port]/path[:tag][@digest]`.
 * @throws InvalidReferenceError that says what is wrong with it and how to write it; user info is never repeated
 */
export function parseReference(text: string): Reference {
  const input = text.trim()
  refuseUserInfo(input)
  const shown = `"${plainText(input.replace(/[#?].*$/s, ''), 300)}"`
  const rest = withoutScheme(input, shown)
  if (/[#?]/.test(rest)) {
    throw new InvalidReferenceError(`${shown}: a reference has no query and no fragment`, {
      suggestions: ['Leave out everything from "?" or "#" on; options are given as flags.'],
    })
  }

  const slash = rest.indexOf('/')
  const authority = slash === -1 ? rest : rest.slice(0, slash)
  const registry = parseAuthority(authority, shown)
  const {digest, name, tag} = splitName(slash === -1 ? '' : rest.slice(slash + 1), shown)
  const repository = checkRepository(name, registry, shown)
  return {registry, repository, ...(tag !== undefined && {tag}), ...(digest && {digest})}
}

export function formatReference({digest, registry, repository, tag}: Reference): string {
  return `${OCI_SCHEME}${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest ? `@${digest}` : ''}`
}

/**
 * Reads `oci://…` or `oci-layout:PATH`.
 * @throws InvalidReferenceError
 */
export function parseLocation(text: string): StoreLocation {
  if (!text.startsWith(LAYOUT_SCHEME)) return {kind: 'registry', reference: parseReference(text)}
  const path = text.slice(LAYOUT_SCHEME.length)
  if (path !== '' && !path.includes('\0')) return {kind: 'layout', path}
  throw new InvalidReferenceError(`"${plainText(text)}": the path of the directory is missing`, {
    suggestions: [`Write ${LAYOUT_SCHEME}PATH, for example ${LAYOUT_SCHEME}./store.oci.`],
  })
}

export function formatLocation(location: StoreLocation): string {
  return location.kind === 'layout' ? `${LAYOUT_SCHEME}${location.path}` : formatReference(location.reference)
}

/** Two colons tell most hosts from one at once: Node's own look takes 10 ms the first time. */
function isIPv6(host: string): boolean {
  return host.indexOf(':') !== host.lastIndexOf(':') && isIPv6Address(host)
}

/** Whether a host (with or without port and brackets) is this machine: `localhost`, `*.localhost`, 127.0.0.0/8, `::1`. */
export function isLoopback(host: string): boolean {
  const name = hostOf(host).toLowerCase().replace(/\.$/, '')
  if (name === 'localhost' || name.endsWith('.localhost')) return true
  if (isIPv4(name)) return name.startsWith('127.')
  if (!isIPv6(name)) return false
  // The URL parser writes every IPv6 address in its one shortest form.
  const shortest = new URL(`http://[${name}]`).hostname
  return shortest === '[::1]' || /^\[::ffff:7f[\da-f]{2}:/.test(shortest)
}

/** The host alone, without port and brackets. */
function hostOf(host: string): string {
  const bracketed = /^\[(.*)](?::\d+)?$/.exec(host)
  if (bracketed) return bracketed[1] ?? ''
  return isIPv6(host) ? host : host.replace(/:\d+$/, '')
}

/** Docker Hub's name is not the host that serves it. */
const DOCKER_HUB = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])
const DOCKER_HUB_HOST = 'registry-1.docker.io'
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/'

/** Where the API of `registry` is served: https, or http on the loopback host or when `plainHttp` says so. */
export function originOf(registry: string, options: {readonly plainHttp?: boolean | undefined} = {}): URL {
  const plainHttp = options.plainHttp ?? isLoopback(registry)
  return new URL(`${plainHttp ? 'http' : 'https'}://${DOCKER_HUB.has(registry) ? DOCKER_HUB_HOST : registry}/`)
}

/** The next step where plain http was spoken to a host that may speak https. */
export function httpsAdvice(host: string): string {
  return `If ${host} serves https, ${isLoopback(host) ? 'say so with --no-plain-http' : 'leave --plain-http away'}.`
}

/** The name under which credential files and helpers keep the login of `registry`. */
export function credentialKey(registry: string): string {
  return DOCKER_HUB.has(registry) ? DOCKER_HUB_KEY : registry
}

/** A password may hold any character: whenever an `@` is there that does not begin a digest, nothing is repeated. */
function refuseUserInfo(input: string): void {
  const withoutDigest = input.replace(/@sha(?:256|512):[\da-f]*$/i, '')
  if (!withoutDigest.includes('@')) return
  throw new InvalidReferenceError('the reference has an "@" in it that does not begin a digest', {
    suggestions: [
      'Never put a user or password into a reference: use "kloset-oci login HOST", or KLOSET_OCI_USERNAME and KLOSET_OCI_PASSWORD.',
      'A digest is @sha256: and 64 hex digits.',
    ],
  })
}

function withoutScheme(input: string, shown: string): string {
  const scheme = /^([a-z][\d+.a-z-]*):\/\//i.exec(input)
  if (scheme?.[1]?.toLowerCase() === 'oci') return input.slice(OCI_SCHEME.length)
  const example = scheme ? input.slice(scheme[0].length) : input
  if (scheme) {
    throw new InvalidReferenceError(`${shown}: ${scheme[1]}:// is not a scheme of a store`, {
      suggestions: [`Write ${OCI_SCHEME}${plainText(example.replace(/[#?].*$/s, ''), 200)} for a registry.`],
    })
  }

  const looksLikePath = /^(?:[./~]|[a-z]:\\)/i.test(input)
  throw new InvalidReferenceError(input === '' ? 'the reference is empty' : `${shown}: the scheme is missing`, {
    suggestions: looksLikePath
      ? [`Write ${LAYOUT_SCHEME}${plainText(input, 200)} for a directory.`]
      : [`Write ${OCI_SCHEME}HOST[:PORT]/PATH for a registry, or ${LAYOUT_SCHEME}PATH for a directory.`],
  })
}

function parseAuthority(authority: string, shown: string): string {
  const [, host, port] = /^(\[[^\]]*]|[^:]*)(?::(.*))?$/s.exec(authority.toLowerCase()) ?? []
  if (host === undefined || !isHost(host)) {
    throw new InvalidReferenceError(`${shown}: the host is ${host === '' ? 'missing' : 'not a host name'}`, {
      suggestions: [
        `Write ${OCI_SCHEME}HOST[:PORT]/PATH; an IPv6 address goes in brackets: ${OCI_SCHEME}[::1]:5000/PATH.`,
      ],
    })
  }

  if (port === undefined) return host
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0
  if (number >= 1 && number <= 65_535) return `${host}:${number}`
  throw new InvalidReferenceError(`${shown}: the port is not a number from 1 to 65535`, {
    suggestions: [`Write ${OCI_SCHEME}${host}:5000/PATH, or leave the port out for the standard one.`],
  })
}

function isHost(host: string): boolean {
  if (host.startsWith('[')) return isIPv6(host.slice(1, -1)) && !host.includes('%')
  if (/^[\d.]+$/.test(host)) return isIPv4(host)
  return host.length <= 253 && host.split('.').every((label) => HOST_LABEL.test(label))
}

interface Name {
  readonly digest?: Digest
  readonly name: string
  readonly tag?: string
}

function splitName(text: string, shown: string): Name {
  const at = text.indexOf('@')
  const digest = at === -1 ? undefined : text.slice(at + 1)
  const tagged = at === -1 ? text : text.slice(0, at)
  if (digest !== undefined && !isDigest(digest)) {
    throw new InvalidReferenceError(`${shown}: what follows "@" is not a digest`, {
      suggestions: ['A digest is sha256: and 64 hex digits in lower case.'],
    })
  }

  const colon = tagged.indexOf(':')
  const name = colon === -1 ? tagged : tagged.slice(0, colon)
  const tag = colon === -1 ? undefined : tagged.slice(colon + 1)
  if (tag !== undefined && !isTag(tag)) {
    throw new InvalidReferenceError(`${shown}: what follows ":" is not a tag`, {
      suggestions: ['A tag has 1 to 128 letters, digits, "_", "." and "-", and does not begin with "." or "-".'],
    })
  }

  return {name, ...(digest !== undefined && {digest}), ...(tag !== undefined && {tag})}
}

function checkRepository(name: string, registry: string, shown: string): string {
  if (name === '') {
    throw new InvalidReferenceError(`${shown}: the repository is missing`, {
      suggestions: [`Write ${OCI_SCHEME}${registry}/PATH, for example ${OCI_SCHEME}${registry}/backups/store.`],
    })
  }

  if (registry.length + 1 + name.length > MAX_NAME_LENGTH) {
    throw new InvalidReferenceError(`${shown}: host and repository are longer than ${MAX_NAME_LENGTH} characters`, {
      suggestions: ['Use a shorter repository path.'],
    })
  }

  if (REPOSITORY.test(name)) return name
  const suggestions = /[A-Z]/.test(name)
    ? [`Repositories are in lower case: ${OCI_SCHEME}${registry}/${plainText(name.toLowerCase(), 200)}.`]
    : [
        'A path has parts of lower-case letters and digits, joined by "/"; inside a part ".", "_", "__" or "-" may stand between them.',
      ]
  throw new InvalidReferenceError(`${shown}: "${plainText(name, 200)}" is not a repository path`, {suggestions})
}
