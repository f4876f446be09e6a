import {createHmac, randomBytes, timingSafeEqual} from 'node:crypto'

import type {Clock} from '../../util/clock.js'
import type {Grant} from './scopes.js'

import {isObject, isString, isStringArray} from '../../util/json.js'

const HEADER = Buffer.from(JSON.stringify({alg: 'HS256', typ: 'JWT'})).toString('base64url')

/** What a token says. `refresh` tokens only buy others; `access` tokens open repositories. */
export interface TokenClaims {
  readonly access: readonly Grant[]
  readonly kind: 'access' | 'refresh'
  /** The user; empty for nobody in particular. */
  readonly subject: string
}

/** Makes and checks tokens with a key of this process: a restart ends them all. */
export class TokenSigner {
  readonly #clock: Clock
  readonly #key = randomBytes(32)

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The claims of a token that we made and that has not expired. */
  read(token: string): TokenClaims | undefined {
    const [header, payload, signature, ...rest] = token.split('.')
    if (header !== HEADER || payload === undefined || signature === undefined || rest.length > 0) return undefined
    const expected = this.#sign(payload)
    const actual = Buffer.from(signature, 'base64url')
    if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) return undefined
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as unknown
    if (!isObject(claims) || Number(claims['exp']) * 1000 <= this.#clock.now()) return undefined
    const {access, kind, sub} = claims
    if (!Array.isArray(access) || !isString(sub) || (kind !== 'access' && kind !== 'refresh')) return undefined
    return {access: access.filter((grant) => isGrant(grant)), kind, subject: sub}
  }

  write({access, kind, subject}: TokenClaims, seconds: number): string {
    const now = Math.floor(this.#clock.now() / 1000)
    const claims = {access, exp: now + seconds, iat: now, jti: randomBytes(8).toString('hex'), kind, sub: subject}
    const payload = Buffer.from(JSON.stringify(claims)).toString('base64url')
    return `${HEADER}.${payload}.${this.#sign(payload).toString('base64url')}`
  }

  #sign(payload: string): Buffer {
    return createHmac('sha256', this.#key).update(`${HEADER}.${payload}`).digest()
  }
}

function isGrant(value: unknown): value is Grant {
  return isObject(value) && isString(value['name']) && isString(value['type']) && isStringArray(value['actions'])
}
