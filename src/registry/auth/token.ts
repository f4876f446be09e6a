import type {Clock} from '../../util/clock.js'
import type {HttpClient, HttpMethod, HttpResponse} from '../transport/http.js'
import type {Credential} from './credential.js'
import type {Token} from './token-cache.js'

import {ProtocolError} from '../../errors.js'
import {bufferSource} from '../../util/content-source.js'
import {isCount, isObject, isString, type JsonObject} from '../../util/json.js'
import {type Diagnostic, RegistryResponseError} from '../errors.js'
import {redactUrl, rememberSecret} from '../redact.js'
import {isLoopback} from '../reference.js'
import {discard, readBounded} from '../transport/body.js'
import {parseRetryAfter} from '../transport/retry-after.js'
import {CredentialError} from './credential-error.js'
import {Secret} from './secret.js'

export interface TokenRequest {
  readonly client: HttpClient
  readonly clock: Clock
  readonly credential: Credential | undefined
  /** Where tokens are given out, as the registry's challenge says. */
  readonly realm: string
  /** Origin of the registry that named the realm. */
  readonly registry: URL
  readonly scopes: readonly string[]
  readonly service: string | undefined
}

const CLIENT_ID = 'kloset-oci'
/** The specification's default, and its least. */
const DEFAULT_LIFE_S = 60
/** A token that claims more is renewed daily. */
const MAX_LIFE_S = 24 * 3600
/** Share of a token's life after which a new one is got. */
const REFRESH_SHARE = 0.8
/** Tokens with many claims reach some ten thousand bytes. */
const MAX_TOKEN_BYTES = 512 * 1024

/**
 * Gets a bearer token: with an identity token by the OAuth2 POST, else by GET, with a user and password or anonymously;
 * when the service has no GET, by POST with user and password.
 * @throws RegistryResponseError | CredentialError | ProtocolError, none of which holds a word of the service's answer
 * @see https://distribution.github.io/distribution/spec/auth/token/
 * @see https://distribution.github.io/distribution/spec/auth/oauth/
 */
export async function fetchToken(request: TokenRequest): Promise<Token> {
  const realm = checkRealm(request)
  const {credential} = request
  if (credential?.kind === 'identity') return readToken(request, await post(request, realm), 'POST')
  const response = await get(request, realm)
  if (credential?.kind !== 'basic' || (response.status !== 404 && response.status !== 405)) {
    return readToken(request, response, 'GET')
  }

  await discard(response.body)
  return readToken(request, await post(request, realm), 'POST')
}

/** A registry of https must not have its tokens asked for in the clear, and a credential never goes in the clear to others. */
function checkRealm({credential, realm, registry}: TokenRequest): URL {
  let url: URL
  try {
    url = new URL(realm)
  } catch {
    throw new ProtocolError(`${registry.host}: the token service it names is not a URL`)
  }

  const where = `${registry.host}: the token service it names, ${redactUrl(url)},`
  if (url.username || url.password)
    throw new ProtocolError(`${registry.host}: its token service has user info in its URL`)
  if (url.protocol === 'https:') return url
  if (url.protocol !== 'http:') throw new ProtocolError(`${where} is not on https`)
  if (registry.protocol === 'https:') {
    throw new ProtocolError(`${where} is on plain http while the registry is on https`, {
      suggestions: ['The registry\'s "realm" setting has to name an https URL.'],
    })
  }

  if (credential && url.hostname !== registry.hostname && !isLoopback(url.hostname)) {
    throw new CredentialError(`${where} is on plain http at another host: the login is not sent there`, {
      suggestions: ['The registry\'s "realm" setting has to name an https URL, or the registry\'s own host.'],
    })
  }

  return url
}

function get({client, credential, scopes, service}: TokenRequest, realm: URL): Promise<HttpResponse> {
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  const headers: Record<string, string> = {accept: 'application/json'}
  if (credential?.kind === 'basic') {
    url.searchParams.set('account', credential.username)
    headers['authorization'] = basicHeader(credential.username, credential.password)
  }

  return client.send({headers, method: 'GET', url})
}

function post({client, credential, scopes, service}: TokenRequest, realm: URL): Promise<HttpResponse> {
  const form = new URLSearchParams([['client_id', CLIENT_ID]])
  if (service !== undefined) form.set('service', service)
  if (scopes.length > 0) form.set('scope', scopes.join(' '))
  if (credential?.kind === 'identity') {
    form.set('grant_type', 'refresh_token')
    form.set('refresh_token', credential.token.reveal())
  } else if (credential?.kind === 'basic') {
    form.set('grant_type', 'password')
    form.set('username', credential.username)
    form.set('password', credential.password.reveal())
  }

  return client.send({
    body: bufferSource(Buffer.from(form.toString())),
    headers: {accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded'},
    method: 'POST',
    redirect: 'same-origin',
    retry: 'safe',
    url: realm,
  })
}

export function basicHeader(username: string, password: Secret): string {
  const encoded = Buffer.from(`${username}:${password.reveal()}`).toString('base64')
  rememberSecret(encoded)
  return `Basic ${encoded}`
}

async function readToken(request: TokenRequest, response: HttpResponse, method: HttpMethod): Promise<Token> {
  const {clock, credential} = request
  const {bytes, complete} = await readBounded(response.body, MAX_TOKEN_BYTES)
  const json = complete ? parseObject(bytes) : undefined
  if (response.status !== 200) throw refusal(response, method, {clock, credential, json})
  const where = `${method} ${redactUrl(response.url)}`
  if (!json) throw new ProtocolError(`${where}: the token service did not answer with a JSON object`)
  const value = [json['token'], json['access_token']].find((field) => isString(field) && field !== '')
  if (!isString(value)) throw new ProtocolError(`${where}: there is no token in the token service's answer`)
  if (!/^[\u0021-\u007E]+$/.test(value)) throw new ProtocolError(`${where}: the token cannot be sent in a header`)
  const now = clock.now()
  const life = 1000 * lifeOf(json) - ageOf(json, response)
  return {expiresAt: now + life, refreshAt: now + life * REFRESH_SHARE, value: new Secret(value)}
}

function parseObject(bytes: Buffer): JsonObject | undefined {
  try {
    const json: unknown = JSON.parse(bytes.toString('utf8'))
    return isObject(json) ? json : undefined
  } catch {
    return undefined
  }
}

function lifeOf(json: JsonObject): number {
  const seconds = json['expires_in']
  return isCount(seconds) && seconds > 0 ? Math.min(Math.max(seconds, DEFAULT_LIFE_S), MAX_LIFE_S) : DEFAULT_LIFE_S
}

/**
 * Milliseconds that the token has lived already, when the service hands out kept ones. By the service's own two
 * clocks: how wrong ours is does not matter.
 */
function ageOf(json: JsonObject, {headers}: HttpResponse): number {
  const issued = isString(json['issued_at']) ? Date.parse(json['issued_at']) : Number.NaN
  const sent = Date.parse(headers['date'] ?? '')
  const age = sent - issued
  return Number.isNaN(age) ? 0 : Math.min(Math.max(0, age), 1000 * lifeOf(json))
}

interface RefusalOptions {
  readonly clock: Clock
  readonly credential: Credential | undefined
  readonly json: JsonObject | undefined
}

/** Only codes are taken from the answer: its texts may repeat what was sent. */
function refusal(
  response: HttpResponse,
  method: HttpMethod,
  {clock, credential, json}: RefusalOptions,
): RegistryResponseError {
  const now = clock.now()
  const {attempts, headers, url} = response
  // A service of OAuth2 answers 400 to a login that is no good any more.
  const status = response.status === 400 && json?.['error'] === 'invalid_grant' ? 401 : response.status
  return new RegistryResponseError({
    attempts,
    // A token service that is not found must never read as an object that is not found.
    ...(status !== 401 && status !== 403 && status !== 429 && {code: 'REGISTRY'}),
    diagnostics: codesOf(json).map((code): Diagnostic => ({code, message: ''})),
    ...(!credential && {loginGap: 'none-found'}),
    method,
    note: 'the token service refused',
    now,
    retryAfterMs: parseRetryAfter(headers['retry-after'], now),
    status,
    url,
  })
}

const KNOWN_CODES = new Set([
  'DENIED',
  'invalid_client',
  'invalid_grant',
  'invalid_request',
  'invalid_scope',
  'TOOMANYREQUESTS',
  'UNAUTHORIZED',
  'unauthorized_client',
  'UNSUPPORTED',
  'unsupported_grant_type',
])

function codesOf(json: JsonObject | undefined): readonly string[] {
  const list: unknown[] = Array.isArray(json?.['errors']) ? json['errors'] : []
  return [json?.['error'], ...list.map((entry) => (isObject(entry) ? entry['code'] : undefined))]
    .filter((code) => isString(code))
    .filter((code) => KNOWN_CODES.has(code))
}
