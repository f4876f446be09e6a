import type {Clock} from '../../util/clock.js'
import type {Exchange} from '../exchange.js'
import type {Authorizer} from './authorizer.js'
import type {Principal} from './principal.js'
import type {Users} from './users.js'

import {HttpFault} from '../faults.js'
import {parseBasic} from './authorizer.js'
import {everyone, nobody, reader} from './principal.js'
import {grantsFor, principalOf} from './scopes.js'
import {TokenSigner} from './tokens.js'

const ACCESS_SECONDS = 300
const REFRESH_SECONDS = 24 * 3600
const MAX_FORM_BYTES = 64 * 1024

const NO_STORE = {'cache-control': 'no-store'}

export interface BearerOptions {
  readonly anonymousPull: boolean
  readonly clock: Clock
  /** Where tokens are to be had. Default: `/token` of the host that the client asked. */
  readonly realm?: string | undefined
  readonly scheme: 'http' | 'https'
  readonly service: string
  readonly users: Users
}

/**
 * Short-lived tokens for scopes, from a token service of our own.
 * @see https://distribution.github.io/distribution/spec/auth/token/
 * @see https://distribution.github.io/distribution/spec/auth/oauth/
 */
export class BearerAuthorizer implements Authorizer {
  readonly isOpen = false
  /** `GET /token` with user and password in a header, `POST /token` with them or a refresh token in a form. */
  token = async (exchange: Exchange): Promise<void> => {
    await (exchange.method === 'POST' ? this.#oauth(exchange) : this.#plain(exchange))
  }
  readonly #options: BearerOptions

  readonly #signer: TokenSigner

  constructor(options: BearerOptions) {
    this.#options = options
    this.#signer = new TokenSigner(options.clock)
  }

  async identify(exchange: Exchange): Promise<Principal> {
    const header = exchange.header('authorization')
    if (header === undefined) return nobody
    const match = /^bearer +(\S+) *$/i.exec(header)
    const claims = match ? this.#signer.read(match[1] ?? '') : undefined
    if (claims?.kind === 'access') return principalOf(claims.access)
    throw this.refusal(exchange, [], match ? 'invalid_token' : undefined)
  }

  refusal(exchange: Exchange, scopes: readonly string[], reason?: string): HttpFault {
    const {service} = this.#options
    const parameters = [`realm="${this.#realmFor(exchange)}"`, `service="${service}"`]
    if (scopes.length > 0) parameters.push(`scope="${scopes.join(' ')}"`)
    if (reason !== undefined) parameters.push(`error="${reason}"`)
    return new HttpFault(401, 'UNAUTHORIZED', 'authentication required', {
      detail: scopes.length > 0 ? {scopes} : undefined,
      headers: {'www-authenticate': `Bearer ${parameters.join(',')}`},
    })
  }

  #anonymous() {
    if (this.#options.anonymousPull) return {principal: reader, subject: ''}
    throw this.#loginNeeded()
  }

  async #answer(
    exchange: Exchange,
    holder: {readonly principal: Principal; readonly subject: string},
    {offline, scopes}: {readonly offline: boolean; readonly scopes: readonly string[]},
  ): Promise<void> {
    const {principal, subject} = holder
    const access = grantsFor(principal, scopes)
    const token = this.#signer.write({access, kind: 'access', subject}, ACCESS_SECONDS)
    const refresh =
      offline && subject !== ''
        ? this.#signer.write({access: [], kind: 'refresh', subject}, REFRESH_SECONDS)
        : undefined
    const granted = access.map(({actions, name, type}) => `${type}:${name}:${actions.join(',')}`).join(' ')
    /* eslint-disable camelcase -- names of the token specification */
    const body = {
      access_token: token,
      expires_in: ACCESS_SECONDS,
      issued_at: new Date(this.#options.clock.now()).toISOString(),
      ...(refresh !== undefined && {refresh_token: refresh}),
      scope: granted,
      token,
      token_type: 'Bearer',
    }
    /* eslint-enable camelcase */
    await exchange.json(200, body, NO_STORE)
  }

  /** Asks for user and password; only the token service does that. */
  #loginNeeded(): HttpFault {
    return new HttpFault(401, 'UNAUTHORIZED', 'wrong user or password, or none', {
      headers: {...NO_STORE, 'www-authenticate': `Basic realm="${this.#options.service}", charset="UTF-8"`},
    })
  }

  async #oauth(exchange: Exchange): Promise<void> {
    const form = await formOf(exchange)
    const grant = form.get('grant_type')
    const wanted = {offline: form.get('access_type') === 'offline', scopes: form.getAll('scope')}
    if (grant === 'password') {
      const user = form.get('username') ?? ''
      const isRight = await this.#options.users.check(user, form.get('password') ?? '')
      if (!isRight) throw this.#loginNeeded()
      await this.#answer(exchange, {principal: everyone, subject: user}, wanted)
      return
    }

    if (grant !== 'refresh_token') throw new HttpFault(400, 'UNSUPPORTED', 'grant_type is password or refresh_token')
    const claims = this.#signer.read(form.get('refresh_token') ?? '')
    if (claims?.kind !== 'refresh') throw this.#loginNeeded()
    await this.#answer(exchange, {principal: everyone, subject: claims.subject}, {...wanted, offline: true})
  }

  async #plain(exchange: Exchange): Promise<void> {
    const header = exchange.header('authorization')
    const {query} = exchange
    const wanted = {offline: query.get('offline_token') === 'true', scopes: query.getAll('scope')}
    if (header === undefined) {
      await this.#answer(exchange, this.#anonymous(), wanted)
      return
    }

    const login = parseBasic(header)
    if (!login || !(await this.#options.users.check(login.user, login.password))) throw this.#loginNeeded()
    await this.#answer(exchange, {principal: everyone, subject: login.user}, wanted)
  }

  #realmFor(exchange: Exchange): string {
    const {realm, scheme} = this.#options
    if (realm !== undefined) return realm
    const host = exchange.header('host') ?? ''
    const {localAddress = '127.0.0.1', localPort = 0} = exchange.request.socket
    const own = `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`
    return `${scheme}://${/^[\w.:[\]-]{1,255}$/.test(host) ? host : own}/token`
  }
}

async function formOf(exchange: Exchange): Promise<URLSearchParams> {
  let text = ''
  for await (const chunk of exchange.body()) {
    text += chunk.toString('latin1')
    if (text.length > MAX_FORM_BYTES) throw new HttpFault(413, 'SIZE_INVALID', 'the form is too large')
  }

  return new URLSearchParams(text)
}
