import {spawn} from 'node:child_process'

import type {Environment} from './credential-paths.js'
import type {Credential} from './credential.js'

import {interruption} from '../../util/abort.js'
import {isObject, isString} from '../../util/json.js'
import {plainText} from '../redact.js'
import {CredentialError} from './credential-error.js'
import {Secret} from './secret.js'

export interface HelperOptions {
  readonly env: Environment
  readonly signal?: AbortSignal | undefined
  /** Milliseconds. Default 60 s. */
  readonly timeout?: number | undefined
}

const DEFAULT_TIMEOUT_MS = 60_000
/** Some helpers leave a process behind that holds their output open, an agent say: what they wrote is there by then. */
const AGENT_MS = 500
/** A helper answers with a few hundred bytes; tokens may take some thousand. */
const MAX_OUTPUT_BYTES = 256 * 1024
/** By this user name helpers say that the secret is an identity token. */
const IDENTITY_USER = '<token>'

/**
 * Asks `docker-credential-NAME get` for the login of `server`; undefined when it has none.
 * @throws CredentialError
 * @see https://github.com/docker/docker-credential-helpers
 */
export async function helperGet(name: string, server: string, options: HelperOptions): Promise<Credential | undefined> {
  const {output, status} = await run(name, 'get', server, options)
  if (status !== 0) {
    if (/credentials not found/i.test(output)) return undefined
    throw failed(name, `get ended ${howOf(status)}`)
  }

  const {secret, username} = parseAnswer(name, output)
  if (secret === '') return undefined
  if (username === IDENTITY_USER) return {kind: 'identity', token: new Secret(secret)}
  return {kind: 'basic', password: new Secret(secret), username}
}

/** @throws CredentialError when the helper does not keep it */
export async function helperStore(
  name: string,
  login: {readonly credential: Credential; readonly server: string},
  options: HelperOptions,
): Promise<void> {
  const {credential, server} = login
  const body = JSON.stringify({
    Secret: (credential.kind === 'basic' ? credential.password : credential.token).reveal(),
    ServerURL: server,
    Username: credential.kind === 'basic' ? credential.username : IDENTITY_USER,
  })
  const {status} = await run(name, 'store', body, options)
  if (status !== 0) throw failed(name, `store ended ${howOf(status)}`)
}

/** @returns false when the helper had no such login */
export async function helperErase(name: string, server: string, options: HelperOptions): Promise<boolean> {
  const known = await helperGet(name, server, options)
  if (!known) return false
  const {status} = await run(name, 'erase', server, options)
  if (status !== 0) throw failed(name, `erase ended ${howOf(status)}`)
  return true
}

function parseAnswer(name: string, output: string): {readonly secret: string; readonly username: string} {
  let json: unknown
  try {
    json = JSON.parse(output)
  } catch {
    json = undefined
  }

  if (!isObject(json)) throw failed(name, 'get answered with something that is not JSON')
  const {Secret: secret = '', Username: username = ''} = json
  if (isString(secret) && isString(username)) return {secret, username}
  throw failed(name, 'get answered without a user name and a secret')
}

interface Ended {
  readonly output: string
  /** Or the signal that ended it. */
  readonly status: number | string
}

function howOf(status: number | string): string {
  return typeof status === 'number' ? `with status ${status}` : `by ${status}`
}

/** Input goes through stdin, never through arguments: those are visible to every user of the machine. */
function run(name: string, action: string, input: string, options: HelperOptions): Promise<Ended> {
  // The name comes from a file: it must not lead to a program somewhere else.
  if (!/^[\w.-]+$/.test(name)) {
    throw new CredentialError('the name of a credential helper is not a program name', {
      suggestions: ['Correct "credsStore" or "credHelpers" of the credential file.'],
    })
  }

  const {env, signal, timeout = DEFAULT_TIMEOUT_MS} = options
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(interruption(signal))
      return
    }

    const child = spawn(`docker-credential-${name}`, [action], {env: {...env}, stdio: ['pipe', 'pipe', 'ignore']})
    const chunks: Buffer[] = []
    let size = 0
    const kill = () => child.kill('SIGKILL')
    // Who is interrupted does not wait for the answer.
    process.once('exit', kill)
    const settle = (finish: () => void) => {
      clearTimeout(timer)
      process.off('exit', kill)
      signal?.removeEventListener('abort', onAbort)
      finish()
    }

    const give = (error: Error) => {
      settle(() => reject(error))
      kill()
      child.stdout.destroy()
    }

    const onAbort = () => signal && give(interruption(signal))
    const timer = setTimeout(() => give(failed(name, `${action} took longer than ${timeout / 1000} s`)), timeout)
    signal?.addEventListener('abort', onAbort, {once: true})
    child.once('error', (error: NodeJS.ErrnoException) => settle(() => reject(notStarted(name, error))))
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_OUTPUT_BYTES) give(failed(name, `${action} answered with more than ${MAX_OUTPUT_BYTES} bytes`))
      else chunks.push(chunk)
    })
    child.once('exit', () => {
      setTimeout(() => child.stdout.destroy(), AGENT_MS).unref()
    })
    child.once('close', (status, ended) => {
      const output = Buffer.concat(chunks).toString('utf8').trim()
      settle(() => resolve({output, status: status ?? ended ?? -1}))
    })
    // A helper that ends without reading its input says why by its status.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

function notStarted(name: string, error: NodeJS.ErrnoException): CredentialError {
  return new CredentialError(
    error.code === 'ENOENT'
      ? `docker-credential-${name}: no such program on PATH`
      : `docker-credential-${name}: cannot be started (${plainText(error.code ?? 'error')})`,
    {
      suggestions: [
        'Install the helper, or take its name out of "credsStore" and "credHelpers" of the credential file.',
        'To go without it once: set KLOSET_OCI_USERNAME and KLOSET_OCI_PASSWORD.',
      ],
    },
  )
}

function failed(name: string, what: string): CredentialError {
  return new CredentialError(`docker-credential-${name}: ${what}`, {
    suggestions: [`Try it by hand: echo HOST | docker-credential-${name} get.`],
  })
}
