import {readFile} from 'node:fs/promises'

import type {Environment} from './credential-paths.js'
import type {Credential, CredentialTarget, FoundCredential} from './credential.js'

import {isObject, isString, isStringRecord, type JsonObject} from '../../util/json.js'
import {credentialKey} from '../reference.js'
import {CredentialError} from './credential-error.js'
import {helperGet} from './credential-helper.js'
import {Secret} from './secret.js'

export interface CredentialFileOptions {
  readonly env: Environment
  readonly helperTimeout?: number | undefined
}

/**
 * One file of docker's or podman's kind: `auths`, `credHelpers`, `credsStore`.
 * @see https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md
 */
export class CredentialFile {
  readonly path: string
  readonly #auths: JsonObject
  readonly #credHelpers: Readonly<Record<string, string>>
  readonly #credsStore: string | undefined
  readonly #options: CredentialFileOptions

  private constructor(path: string, json: JsonObject, options: CredentialFileOptions) {
    // Docker writes and reads null for nothing.
    const auths = json['auths'] ?? {}
    const credHelpers = json['credHelpers'] ?? {}
    const credsStore = json['credsStore'] ?? ''
    if (!isObject(auths)) throw malformed(path, '"auths" is not an object')
    if (!isStringRecord(credHelpers)) throw malformed(path, '"credHelpers" is not an object of strings')
    if (!isString(credsStore)) throw malformed(path, '"credsStore" is not a string')
    this.path = path
    this.#auths = auths
    this.#credHelpers = credHelpers
    this.#credsStore = credsStore === '' ? undefined : credsStore
    this.#options = options
  }

  /**
   * The file, or undefined when there is none.
   * @throws CredentialError when it cannot be read or is not what it should be; its contents are never repeated
   */
  static async read(path: string, options: CredentialFileOptions): Promise<CredentialFile | undefined> {
    const json = await readCredentialJson(path)
    return json && new CredentialFile(path, json, options)
  }

  /** Looks for the longest matching path, then the host: `host/a/b`, `host/a`, `host`. A helper goes before `auths`. */
  async find(target: CredentialTarget, signal?: AbortSignal): Promise<FoundCredential | undefined> {
    return (await this.#ask(target, signal)) ?? this.#look(target)
  }

  /** The helper of `registry`, when the file names one. */
  helperFor(registry: string): string | undefined {
    const own = Object.entries(this.#credHelpers).find(([key]) => sameHost(key, registry))
    // An empty name is docker's way to say that this registry's login is in the file.
    return own ? own[1] || undefined : this.#credsStore
  }

  async #ask({registry, repository}: CredentialTarget, signal?: AbortSignal): Promise<FoundCredential | undefined> {
    const {env, helperTimeout} = this.#options
    const options = {env, signal, timeout: helperTimeout}
    for (const path of pathsOf(registry, repository)) {
      const helper = this.#credHelpers[path]
      if (!helper || path === registry) continue
      const credential = await helperGet(helper, path, options)
      if (credential) return this.#found(credential, path, helper)
    }

    const helper = this.helperFor(registry)
    if (helper === undefined) return undefined
    const server = credentialKey(registry)
    const credential = await helperGet(helper, server, options)
    return credential && this.#found(credential, server, helper)
  }

  #found(credential: Credential, key: string, helper?: string): FoundCredential {
    const source = helper === undefined ? 'file' : 'helper'
    return {credential, origin: {file: this.path, key, source, ...(helper !== undefined && {helper})}}
  }

  #look({registry, repository}: CredentialTarget): FoundCredential | undefined {
    for (const path of pathsOf(registry, repository)) {
      for (const [key, entry] of Object.entries(this.#auths)) {
        if (path === registry ? !sameHost(key, registry) : key !== path) continue
        const credential = readEntry(this.path, key, entry)
        if (credential) return this.#found(credential, key)
      }
    }

    return undefined
  }
}

/** @throws CredentialError */
export async function readCredentialJson(path: string): Promise<JsonObject | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new CredentialError(`${path}: cannot be read (${code ?? 'error'})`, {
      suggestions: ['Check its owner and permissions.'],
    })
  }

  if (text.trim() === '') return {}
  let json: unknown
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    // The parser's own message repeats the text around the mistake: it may be a password.
    throw malformed(path, 'it is not JSON')
  }

  if (!isObject(json)) throw malformed(path, 'it is not a JSON object')
  return json
}

function malformed(path: string, what: string): CredentialError {
  return new CredentialError(`${path}: not a credential file: ${what}`, {
    suggestions: ['Correct the file, or move it away and log in again.'],
  })
}

/** Whether a key of a file stands for a host: written alone, or as a URL as docker's old files have it. */
export function sameHost(key: string, registry: string): boolean {
  if (key === registry || key === credentialKey(registry)) return true
  const host = key
    .replace(/^https?:\/\//i, '')
    .replace(/^([^/]*)\/(?:v[12]\/?)?$/, '$1')
    .toLowerCase()
  return host === registry || credentialKey(host) === credentialKey(registry)
}

function pathsOf(registry: string, repository: string | undefined): readonly string[] {
  const parts = repository === undefined || repository === '' ? [] : repository.split('/')
  const paths = parts.map((_part, index) => `${registry}/${parts.slice(0, parts.length - index).join('/')}`)
  return [...paths, registry]
}

const FIELDS = ['auth', 'identitytoken', 'password', 'registrytoken', 'username'] as const

function readEntry(path: string, key: string, entry: unknown): Credential | undefined {
  // A key that is more than a host and a path is not repeated: who knows what it holds.
  const shown = /^[\w.:/[\]-]{1,200}$/.test(key) ? key : 'an entry'
  if (!isObject(entry)) throw malformed(path, `the entry of ${shown} is not an object`)
  const fields: Partial<Record<(typeof FIELDS)[number], string>> = {}
  for (const field of FIELDS) {
    const value = entry[field]
    if (value === undefined || value === '') continue
    if (!isString(value)) throw malformed(path, `"${field}" of ${shown} is not a string`)
    fields[field] = value
  }

  if (fields.registrytoken) return {kind: 'registry-token', token: new Secret(fields.registrytoken)}
  if (fields.identitytoken) return {kind: 'identity', token: new Secret(fields.identitytoken)}
  const decoded = fields.auth === undefined ? undefined : decodeAuth(fields.auth)
  if (decoded === null) throw malformed(path, `"auth" of ${shown} is not the base64 of USER:PASSWORD`)
  const {password = '', username = ''} = decoded ?? fields
  if (username === '' || password === '') return undefined
  if (username === '<token>') return {kind: 'identity', token: new Secret(password)}
  return {kind: 'basic', password: new Secret(password), username}
}

function decodeAuth(auth: string): null | {readonly password: string; readonly username: string} {
  if (!/^[\d+/A-Za-z]+={0,2}$/.test(auth.trim())) return null
  const text = Buffer.from(auth, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 1) return null
  // Docker pads some passwords with zero bytes.
  return {password: text.slice(colon + 1).replaceAll(/^\0+|\0+$/g, ''), username: text.slice(0, colon)}
}
