import type {Clock} from '../../util/clock.js'
import type {HttpClient, HttpRequest, HttpResponse} from '../transport/http.js'
import type {Credential, CredentialSource, CredentialTarget} from './credential.js'

import {hasCode} from '../../errors.js'
import {readableOf} from '../../util/content-source.js'
import {saysExpired} from '../errors.js'
import {discard, readBounded} from '../transport/body.js'
import {type Challenge, parseChallenges} from './challenge.js'
import {CredentialHolder} from './credential-holder.js'
import {mergeScopes, splitScopes} from './scopes.js'
import {Secret} from './secret.js'
import {type Token, TokenCache} from './token-cache.js'
import {basicHeader, fetchToken} from './token.js'

export interface AuthOptions {
  readonly clock: Clock
  readonly credentials: CredentialSource
  /** The only place that ever gets what is found. */
  readonly origin: URL
  readonly target: CredentialTarget
}

/** How the registry wants to be asked, learned from its first challenge. */
type Scheme = {readonly kind: 'basic'} | {readonly kind: 'bearer'; readonly realm: string; readonly service?: string}

/** What a request was given to get in. */
interface Grant {
  readonly credential: Credential | undefined
  readonly header: Secret
  readonly token?: Token
}

/**
 * Answers the registry's challenges, and spares it them once they are known. Only requests to the registry's own
 * origin are ever given anything: upload Locations and links elsewhere go out bare. A challenge is answered once; so is
 * an expired login, for which the credential source is asked again.
 */
export function withAuth(inner: HttpClient, options: AuthOptions): HttpClient {
  return new AuthClient(inner, options)
}

class AuthClient implements HttpClient {
  readonly #holder: CredentialHolder
  readonly #inner: HttpClient
  /** What the registry asked for beyond what a request named, by what the request named. */
  readonly #learned = new Map<string, readonly string[]>()
  readonly #options: AuthOptions
  #scheme: Scheme | undefined
  readonly #tokens: TokenCache

  constructor(inner: HttpClient, options: AuthOptions) {
    this.#inner = inner
    this.#options = options
    this.#holder = new CredentialHolder(options.credentials, options.target, options.clock)
    this.#tokens = new TokenCache(options.clock)
  }

  close(): void {
    this.#inner.close()
  }

  async send(request: HttpRequest): Promise<HttpResponse> {
    if (request.url.origin !== this.#options.origin.origin) return this.#inner.send(request)
    const grant = await this.#foresee(request)
    const response = await this.#inner.send(grant ? authorized(request, grant) : request)
    // A redirect that led elsewhere: that host's challenge is not ours to answer.
    if (response.url.origin !== this.#options.origin.origin) return response
    if (response.status === 401) return this.#answer(request, response, grant)
    if (response.status === 403 && grant?.credential) return this.#renew(request, response, grant)
    return response
  }

  async #again(request: HttpRequest, response: HttpResponse, grant: Grant): Promise<HttpResponse> {
    await discard(response.body)
    return this.#inner.send({...authorized(request, grant), attempt: response.attempts + 1})
  }

  async #answer(request: HttpRequest, response: HttpResponse, used: Grant | undefined): Promise<HttpResponse> {
    const challenges = parseChallenges(response.headers['www-authenticate'])
    const bearer = challenges.find(({parameters, scheme}) => scheme === 'bearer' && parameters['realm'])
    const basic = challenges.find(({scheme}) => scheme === 'basic')
    const grant = bearer
      ? await this.#answerBearer(request, bearer, used)
      : basic && (await this.#answerBasic(request, used))
    if (!bearer && !basic) return {...response, ...(!used?.credential && {loginGap: 'unasked'})}
    const last = grant ? await this.#again(request, response, grant) : response
    // Asked already, and so known: a login of another kind than the challenge is one that was found.
    const isNoneFound = last.status === 401 && !(await this.#holder.get(request.signal))
    return {...last, ...(isNoneFound && {loginGap: 'none-found'})}
  }

  async #answerBasic(request: HttpRequest, used: Grant | undefined): Promise<Grant | undefined> {
    this.#scheme = {kind: 'basic'}
    const found = used
      ? await this.#holder.renewed(used.credential, request.signal)
      : await this.#holder.get(request.signal)
    return basicGrant(found)
  }

  async #answerBearer(
    request: HttpRequest,
    {parameters}: Challenge,
    used: Grant | undefined,
  ): Promise<Grant | undefined> {
    const {realm = '', scope, service} = parameters
    this.#scheme = {kind: 'bearer', realm, ...(service !== undefined && {service})}
    const named = mergeScopes(request.scopes ?? [])
    const wanted = mergeScopes(named, splitScopes(scope))
    this.#learned.set(named.join(' '), wanted)
    return this.#bearerGrant(request, this.#scheme, {scopes: wanted, used})
  }

  async #bearerGrant(
    {signal}: HttpRequest,
    {realm, service}: Extract<Scheme, {kind: 'bearer'}>,
    {scopes, used}: {readonly scopes: readonly string[]; readonly used?: Grant | undefined},
  ): Promise<Grant | undefined> {
    // Without a token the credential itself was refused: only another one can help.
    const stale = used && !used.token
    const credential = stale ? await this.#holder.renewed(used.credential, signal) : await this.#holder.get(signal)
    if (stale && !credential) return undefined
    if (credential?.kind === 'registry-token')
      return {credential, header: new Secret(`Bearer ${credential.token.reveal()}`)}
    const token = await this.#tokens.get({
      fetch: () => this.#fetchToken({realm, scopes, service}),
      key: [realm, service ?? '', ...scopes].join('\n'),
      rejected: used?.token,
      signal,
    })
    return {credential, header: new Secret(`Bearer ${token.value.reveal()}`), token}
  }

  /** A login that the token service refuses may have run out: its source is asked once more. */
  async #fetchToken(wanted: {
    readonly realm: string
    readonly scopes: readonly string[]
    readonly service: string | undefined
  }): Promise<Token> {
    const {clock, origin} = this.#options
    const common = {...wanted, client: this.#inner, clock, registry: origin}
    const credential = await this.#holder.get()
    try {
      return await fetchToken({...common, credential})
    } catch (error) {
      if (!credential || (!hasCode(error, 'UNAUTHORIZED') && !hasCode(error, 'FORBIDDEN'))) throw error
      const other = await this.#holder.renewed(credential)
      if (!other) throw error
      return fetchToken({...common, credential: other})
    }
  }

  /** What the request can be given before it is asked for anything. */
  async #foresee(request: HttpRequest): Promise<Grant | undefined> {
    const scheme = this.#scheme
    if (!scheme) return undefined
    if (scheme.kind === 'basic') return basicGrant(await this.#holder.get(request.signal))
    return this.#bearerGrant(request, scheme, {scopes: this.#scopesOf(request)})
  }

  /**
   * Some registries answer an expired login with 403 and a text. A HEAD has no text: there the login's age decides
   * whether it is worth asking for another one.
   */
  async #renew(request: HttpRequest, response: HttpResponse, used: Grant): Promise<HttpResponse> {
    const {bytes} = await readBounded(response.body)
    const kept = {...response, body: readableOf(bytes)}
    const expired = request.method === 'HEAD' ? this.#holder.isOld() : saysExpired(bytes.toString('utf8'))
    if (!expired) return kept
    const credential = await this.#holder.renewed(used.credential, request.signal)
    const scheme = this.#scheme
    if (!credential || !scheme) return kept
    const grant =
      scheme.kind === 'basic'
        ? basicGrant(credential)
        : await this.#bearerGrant(request, scheme, {scopes: this.#scopesOf(request), used: used.token && used})
    return grant ? this.#again(request, kept, grant) : kept
  }

  #scopesOf(request: HttpRequest): readonly string[] {
    const named = mergeScopes(request.scopes ?? [])
    return this.#learned.get(named.join(' ')) ?? named
  }
}

function basicGrant(credential: Credential | undefined): Grant | undefined {
  if (credential?.kind !== 'basic') return undefined
  return {credential, header: new Secret(basicHeader(credential.username, credential.password))}
}

function authorized(request: HttpRequest, {header}: Grant): HttpRequest {
  return {...request, headers: {...request.headers, authorization: header.reveal()}}
}
