import type {Credential, CredentialOrigin, CredentialSource, CredentialTarget, FoundCredential} from './credential.js'

import {InvalidArgumentError} from '../../errors.js'
import {CredentialFile} from './credential-file.js'
import {credentialFilePaths, type Environment} from './credential-paths.js'
import {Secret} from './secret.js'

export type {Credential, CredentialOrigin, CredentialSource, CredentialTarget, FoundCredential} from './credential.js'

const NOTHING: {readonly found?: FoundCredential} = {}

/** No login whatever there is on this machine. */
export const anonymousCredentials: CredentialSource = {
  credentialFor: async () => NOTHING.found,
}

export interface ExplicitCredential {
  /** An OAuth2 refresh token. */
  readonly identityToken?: string | undefined
  readonly password?: string | undefined
  /** A token that the registry itself takes. */
  readonly token?: string | undefined
  readonly username?: string | undefined
}

export interface StandardCredentialsOptions extends ExplicitCredential {
  /** Default: `process.env`. */
  readonly env?: Environment | undefined
  /** Milliseconds that a helper program may take. Default 60 s: some ask the user. */
  readonly helperTimeout?: number | undefined
}

/**
 * Logins in their order: these options, then `KLOSET_OCI_USERNAME` and `KLOSET_OCI_PASSWORD` or `KLOSET_OCI_TOKEN`
 * (only for the host in `KLOSET_OCI_REGISTRY` when that is set), then the files of podman and docker with their helpers.
 * @throws InvalidArgumentError when the options hold half a login, and later when the environment does
 */
export function standardCredentials(options: StandardCredentialsOptions = {}): CredentialSource {
  const env = options.env ?? process.env
  const given = explicitCredential(options, OPTION_NAMES)
  return {
    async credentialFor(target, {signal} = {}) {
      if (given) return {credential: given, origin: {source: 'options'}}
      const environment = isMeant(env, target) ? environmentCredential(env) : undefined
      if (environment) return {credential: environment, origin: {source: 'environment'}}
      let found: FoundCredential | undefined
      for (const path of credentialFilePaths(env)) {
        const file = await CredentialFile.read(path, {env, helperTimeout: options.helperTimeout})
        found = await file?.find(target, signal)
        if (found) break
      }

      return found
    },
  }
}

/** What `explain` says. Fixed fields, no secret in any of them. */
export interface CredentialExplanation {
  readonly found: boolean
  readonly kind?: Credential['kind']
  readonly origin?: CredentialOrigin
  readonly registry: string
  readonly username?: string
}

/** From where the credential for a registry would come, without what it is. */
export async function explainCredential(
  target: CredentialTarget,
  source: CredentialSource = standardCredentials(),
  options: {readonly signal?: AbortSignal | undefined} = {},
): Promise<CredentialExplanation> {
  const found = await source.credentialFor(target, options)
  if (!found) return {found: false, registry: target.registry}
  const {credential, origin} = found
  return {
    found: true,
    kind: credential.kind,
    origin,
    registry: target.registry,
    ...(credential.kind === 'basic' && {username: credential.username}),
  }
}

const OPTION_NAMES = {password: 'the password', token: 'the token', username: 'the user name'} as const
const ENVIRONMENT_NAMES = {
  password: 'KLOSET_OCI_PASSWORD',
  token: 'KLOSET_OCI_TOKEN',
  username: 'KLOSET_OCI_USERNAME',
} as const

function explicitCredential(
  {identityToken, password, token, username}: ExplicitCredential,
  names: Readonly<Record<'password' | 'token' | 'username', string>>,
): Credential | undefined {
  if (token && (username || password || identityToken)) {
    throw new InvalidArgumentError(`${names.token} and a user or password are two logins`, {
      suggestions: [`Give either ${names.token}, or ${names.username} and ${names.password}.`],
    })
  }

  if (token) return {kind: 'registry-token', token: new Secret(token)}
  if (identityToken) return {kind: 'identity', token: new Secret(identityToken)}
  if (!username && !password) return undefined
  if (username && password) return {kind: 'basic', password: new Secret(password), username}
  throw new InvalidArgumentError(`${username ? names.password : names.username} is missing`, {
    suggestions: [`Give both ${names.username} and ${names.password}, or neither.`],
  })
}

function environmentCredential(env: Environment): Credential | undefined {
  const values = {
    password: env['KLOSET_OCI_PASSWORD'],
    token: env['KLOSET_OCI_TOKEN'],
    username: env['KLOSET_OCI_USERNAME'],
  }
  return explicitCredential(values, ENVIRONMENT_NAMES)
}

function isMeant(env: Environment, target: CredentialTarget): boolean {
  const only = env['KLOSET_OCI_REGISTRY']
  return !only || only.toLowerCase() === target.registry
}
