import {readFile} from 'node:fs/promises'

import type {Repository} from '../registry/interfaces.js'
import type {RepositoryOptions, RequestObserver} from '../registry/open.js'
import type {PluginConfig} from './config.js'

import {InvalidArgumentError, messageOf} from '../errors.js'
import {standardCredentials} from '../registry/auth/credentials.js'
import {openRepository} from '../registry/open.js'

/** A secret in a file is one line; a larger file is another kind of file. */
const MAX_SECRET_CHARS = 64 * 1024

/** Some half a minute: a registry that restarts in the middle of a backup of hours is waited for. */
const PATIENT_ATTEMPTS = 12

export interface OpenOptions {
  readonly env: NodeJS.ProcessEnv
  readonly onRequest?: RequestObserver | undefined
}

/** Opens the repository that a configuration describes. The registry is not contacted yet. */
export async function openConfigured(config: PluginConfig, {env, onRequest}: OpenOptions): Promise<Repository> {
  if (config.proxy !== undefined) useProxy(env, config.proxy)
  if (config.noProxy !== undefined) useNoProxy(env, config.noProxy)
  const credentials = standardCredentials({
    env: config.authFile === undefined ? env : {...env, REGISTRY_AUTH_FILE: config.authFile},
    identityToken: config.identityToken,
    password: config.password ?? (await secretFrom(config.passwordFile, 'password_file')),
    token: config.token ?? (await secretFrom(config.tokenFile, 'token_file')),
    username: config.username,
  })
  const {caFile, certFile, insecureSkipTlsVerify, keyFile} = config
  const options: RepositoryOptions = {
    concurrency: config.concurrency,
    credentials,
    durable: config.durable,
    onRequest,
    plainHttp: config.plainHttp,
    readOnly: config.readOnly,
    retry: config.retries === undefined ? {attemptsOnceAnswered: PATIENT_ATTEMPTS} : {attempts: config.retries + 1},
    tls: {caFile, certFile, insecureSkipTlsVerify, keyFile},
  }
  return openRepository(config.location, options)
}

async function secretFrom(path: string | undefined, key: string): Promise<string | undefined> {
  if (path === undefined) return undefined
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new InvalidArgumentError(`${key} cannot be read: ${messageOf(error)}`, {cause: error})
  }

  const secret = text.slice(0, MAX_SECRET_CHARS).replace(/\r?\n$/, '')
  if (secret !== '' && !/[\n\r]/.test(secret)) return secret
  throw new InvalidArgumentError(`${key} "${path}" does not hold one line with the secret`)
}

/** The transport takes its proxy from the environment; this process serves one store only. */
function useProxy(env: NodeJS.ProcessEnv, proxy: string): void {
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'])
    delete env[name]
  env['HTTP_PROXY'] = proxy
  env['HTTPS_PROXY'] = proxy
}

function useNoProxy(env: NodeJS.ProcessEnv, noProxy: string): void {
  delete env['no_proxy']
  env['NO_PROXY'] = noProxy
}
