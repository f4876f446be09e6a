import type {RegistryFlags} from './registry-flags.js'

import {InvalidArgumentError} from '../errors.js'
import {standardCredentials} from '../registry/auth/credentials.js'
import {ask, secretFromStdin} from './password.js'
import {logRequest} from './request-log.js'

export interface ConnectionContext {
  readonly signal: AbortSignal
  readonly userAgent: string
}

/** What the flags say about reaching a registry and who we are there, in the words of the layer below. */
export async function connectionOptions(flags: RegistryFlags, context: ConnectionContext) {
  const login = await explicitLogin(flags, context.signal)
  const credentials = standardCredentials({...login, env: credentialEnvironment(flags)})
  return {...transportOptions(flags, context), credentials}
}

/** The same without a login. */
export function transportOptions(flags: RegistryFlags, {userAgent}: Pick<ConnectionContext, 'userAgent'>) {
  const seconds = flags.timeout
  return {
    concurrency: flags.concurrency,
    onRequest: flags.verbose ? logRequest : undefined,
    plainHttp: flags['plain-http'],
    retry: {attempts: flags.retries + 1},
    timeouts: seconds === undefined ? undefined : {idle: seconds * 1000, response: seconds * 1000},
    tls: {
      caFile: flags['ca-file'],
      certFile: flags['cert-file'],
      insecureSkipTlsVerify: flags['insecure-skip-tls-verify'],
      keyFile: flags['key-file'],
    },
    userAgent,
  }
}

/** The environment in which credential files are looked for: --authfile goes before all of them. */
export function credentialEnvironment(flags: Pick<RegistryFlags, 'authfile'>): NodeJS.ProcessEnv {
  return flags.authfile === undefined ? process.env : {...process.env, REGISTRY_AUTH_FILE: flags.authfile}
}

async function explicitLogin(flags: RegistryFlags, signal: AbortSignal) {
  const {username} = flags
  if (username === undefined) return {}
  if (username === '') throw new InvalidArgumentError('--username: is empty')
  return {password: await passwordFor(username, flags, signal), username}
}

/** From standard input, the environment, or the person at the terminal. */
export async function passwordFor(
  username: string,
  flags: Pick<RegistryFlags, 'password-stdin'>,
  signal: AbortSignal,
): Promise<string> {
  if (flags['password-stdin']) return secretFromStdin(signal)
  const fromEnvironment = process.env['KLOSET_OCI_PASSWORD']
  if (fromEnvironment) return fromEnvironment
  return ask(`password for ${username}`, {signal, silent: true})
}
