import {randomBytes} from 'node:crypto'

import type {Exchange} from './exchange.js'
import type {FakeOptions} from './model.js'

export const USER = 'operator'
/** Looks like nothing else, so that a test can search every output for it. */
export const PASSWORD = 'canary-Zk9-password'

const BASIC = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`

/** Basic and bearer authentication, and the token endpoint. Tokens are good for exactly what they were asked for. */
export class FakeAuth {
  /** What each token request asked for. */
  readonly scopes: string[][] = []
  readonly #tokens = new Map<string, Set<string>>()

  /** Whether the request may go on; answers 401 otherwise. */
  admit(exchange: Exchange, options: FakeOptions, needs?: {actions: string[]; name: string}): boolean {
    const {authorization} = exchange.request.headers
    const how = options.auth ?? 'none'
    if (how === 'none') {
      if (authorization !== undefined) exchange.violate('a credential that nobody asked for')
      return true
    }

    if (how === 'basic') {
      if (authorization === BASIC) return true
      if (authorization !== undefined) exchange.violate('a wrong credential')
      this.#refuse(exchange, 'Basic realm="fake"')
      return false
    }

    const granted = this.#tokens.get(authorization?.replace(/^Bearer /, '') ?? '')
    const wanted = (needs?.actions ?? []).map((action) => `repository:${needs?.name}:${action}`)
    if (granted && wanted.every((scope) => granted.has(scope))) return true
    const scope = needs ? `,scope="repository:${needs.name}:${needs.actions.join(',')}"` : ''
    this.#refuse(exchange, `Bearer realm="${exchange.url.origin}/token",service="fake"${scope}`)
    return false
  }

  /** Forgets every token, as if all had expired. */
  revoke(): void {
    this.#tokens.clear()
  }

  /** `GET /token` */
  token(exchange: Exchange): void {
    if (exchange.request.headers.authorization !== BASIC) {
      exchange.error(401)
      return
    }

    const scopes = exchange.url.searchParams.getAll('scope').flatMap((scope) => scope.split(' '))
    this.scopes.push(scopes)
    const token = `canary-token-${randomBytes(8).toString('hex')}`
    const granted = scopes.flatMap((scope) => {
      const cut = scope.lastIndexOf(':')
      return scope
        .slice(cut + 1)
        .split(',')
        .map((action) => `${scope.slice(0, cut)}:${action}`)
    })
    this.#tokens.set(token, new Set(granted))
    exchange.send(200, {'content-type': 'application/json'}, `{"expires_in":300,"token":"${token}"}`)
  }

  #refuse(exchange: Exchange, challenge: string): void {
    const body = JSON.stringify({errors: [{code: 'UNAUTHORIZED', message: 'authentication required'}]})
    exchange.send(401, {'content-type': 'application/json', 'www-authenticate': challenge}, body)
  }
}
