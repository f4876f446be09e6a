import type {Exchange} from '../exchange.js'
import type {Principal} from './principal.js'
import type {Users} from './users.js'

import {HttpFault} from '../faults.js'
import {everyone, nobody, reader} from './principal.js'

/** Finds out who asks, and how somebody without the right to something gets it. */
export interface Authorizer {
  /** @throws HttpFault 401 when the request shows credentials that are not good */
  identify(exchange: Exchange): Promise<Principal>
  /** Whether `GET /v2/` lets somebody in who shows no credentials. */
  readonly isOpen: boolean
  /** @param scopes what would be needed, in the words of the token specification */
  refusal(exchange: Exchange, scopes: readonly string[], reason?: 'insufficient_scope' | 'invalid_token'): HttpFault
  /** Answers `/token`; nothing when there is no such thing here. */
  readonly token?: (exchange: Exchange) => Promise<void>
}

/** Lets everybody do everything. */
export const openAuthorizer: Authorizer = {
  async identify() {
    return everyone
  },
  isOpen: true,
  refusal: () => new HttpFault(403, 'DENIED', 'not allowed'),
}

export interface BasicOptions {
  readonly anonymousPull: boolean
  readonly realm: string
  readonly users: Users
}

/** User and password with every request. @see https://www.rfc-editor.org/rfc/rfc7617 */
export class BasicAuthorizer implements Authorizer {
  readonly isOpen: boolean
  readonly #realm: string
  readonly #users: Users

  constructor({anonymousPull, realm, users}: BasicOptions) {
    this.isOpen = anonymousPull
    this.#realm = realm
    this.#users = users
  }

  async identify(exchange: Exchange): Promise<Principal> {
    const header = exchange.header('authorization')
    if (header === undefined) return this.isOpen ? reader : nobody
    const login = parseBasic(header)
    if (login && (await this.#users.check(login.user, login.password))) return everyone
    throw this.refusal()
  }

  refusal(): HttpFault {
    return new HttpFault(401, 'UNAUTHORIZED', 'authentication required', {
      headers: {'www-authenticate': `Basic realm="${this.#realm}", charset="UTF-8"`},
    })
  }
}

/** Reads `Basic <base64 of user:password>`. */
export function parseBasic(header: string): undefined | {readonly password: string; readonly user: string} {
  const match = /^basic +([\d+/A-Za-z_-]+={0,2}) *$/i.exec(header)
  if (!match) return undefined
  const text = Buffer.from(match[1] ?? '', 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon === -1 ? undefined : {password: text.slice(colon + 1), user: text.slice(0, colon)}
}
