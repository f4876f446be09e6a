import {dirname} from 'node:path'
import writeFileAtomic from 'write-file-atomic'

import type {Credential} from './credential.js'

import {LocalIoError} from '../../errors.js'
import {isObject, type JsonObject} from '../../util/json.js'
import {makeFolders} from '../../util/make-folders.js'
import {credentialKey} from '../reference.js'
import {CredentialError} from './credential-error.js'
import {CredentialFile, readCredentialJson, sameHost} from './credential-file.js'
import {helperErase, type HelperOptions, helperStore} from './credential-helper.js'
import {dockerConfigPath, type Environment} from './credential-paths.js'

export interface LoginStoreOptions {
  /** Default: `process.env`. */
  readonly env?: Environment | undefined
  /** Default: docker's `config.json`. */
  readonly file?: string | undefined
  readonly helperTimeout?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Where a login was put or taken from. */
export interface LoginPlace {
  readonly file: string
  readonly helper?: string
}

export interface SavedLogin extends LoginPlace {
  /** Readable by whoever reads the file: no helper keeps it. */
  readonly plaintext: boolean
}

/**
 * Keeps a login where docker would: with the helper that the file names for this registry, or in the file itself.
 * Every other key of the file stays as it was; the file is replaced in one step and only its owner can read it.
 * @throws CredentialError when the file is malformed or the helper refuses; nothing is written then
 */
export async function saveLogin(
  registry: string,
  credential: Credential,
  options: LoginStoreOptions = {},
): Promise<SavedLogin> {
  const place = await open(registry, options)
  const key = credentialKey(registry)
  if (place.helper === undefined) {
    await writeAuths(place, {...without(place.auths, registry), [key]: entryOf(credential)})
    return {file: place.file, plaintext: true}
  }

  await helperStore(place.helper, {credential, server: key}, place.helperOptions)
  // Docker leaves an empty entry, so that its own tools know of the login.
  await writeAuths(place, {...without(place.auths, registry), [key]: {}})
  return {file: place.file, helper: place.helper, plaintext: false}
}

/**
 * Forgets the login of a registry, in the file and with its helper.
 * @returns where it was, or undefined when there was none
 * @throws CredentialError
 */
export async function eraseLogin(registry: string, options: LoginStoreOptions = {}): Promise<LoginPlace | undefined> {
  const place = await open(registry, options)
  const rest = without(place.auths, registry)
  const inFile = Object.keys(rest).length < Object.keys(place.auths).length
  const inHelper =
    place.helper !== undefined && (await helperErase(place.helper, credentialKey(registry), place.helperOptions))
  if (inFile) await writeAuths(place, rest)
  if (!inFile && !inHelper) return undefined
  return {file: place.file, ...(inHelper && {helper: place.helper})}
}

interface Place {
  readonly auths: JsonObject
  readonly file: string
  readonly helper: string | undefined
  readonly helperOptions: HelperOptions
  readonly json: JsonObject
}

async function open(registry: string, options: LoginStoreOptions): Promise<Place> {
  const env = options.env ?? process.env
  const file = options.file ?? dockerConfigPath(env)
  const json = (await readCredentialJson(file)) ?? {}
  // Read once more as what it means: a malformed file is refused before anything is changed.
  const parsed = await CredentialFile.read(file, {env, helperTimeout: options.helperTimeout})
  return {
    auths: isObject(json['auths']) ? json['auths'] : {},
    file,
    helper: parsed?.helperFor(registry),
    helperOptions: {env, signal: options.signal, timeout: options.helperTimeout},
    json,
  }
}

function without(auths: JsonObject, registry: string): JsonObject {
  return Object.fromEntries(Object.entries(auths).filter(([key]) => !sameHost(key, registry)))
}

function entryOf(credential: Credential): JsonObject {
  switch (credential.kind) {
    case 'basic': {
      if (credential.username.includes(':')) {
        throw new CredentialError('a user name with a colon cannot be kept in a credential file')
      }

      return {auth: Buffer.from(`${credential.username}:${credential.password.reveal()}`).toString('base64')}
    }

    case 'identity': {
      return {identitytoken: credential.token.reveal()}
    }

    case 'registry-token': {
      return {registrytoken: credential.token.reveal()}
    }
  }
}

async function writeAuths({file, json}: Place, auths: JsonObject): Promise<void> {
  try {
    await makeFolders(dirname(file), {mode: 0o700})
    await writeFileAtomic(file, `${JSON.stringify({...json, auths}, undefined, '\t')}\n`, {mode: 0o600})
  } catch (error) {
    throw new LocalIoError(`${file}: cannot be written (${(error as NodeJS.ErrnoException).code ?? 'error'})`, {
      suggestions: ['Check the owner and permissions of the file and its directory, and the space left on the disk.'],
    })
  }
}
