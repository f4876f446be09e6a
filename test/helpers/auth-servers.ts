/* eslint camelcase: ['error', {properties: 'never'}] -- the names of the wire */
import type {ServerResponse} from 'node:http'

import type {CredentialSource, FoundCredential} from '../../src/registry/auth/credential.js'

import {Secret} from '../../src/registry/auth/secret.js'
import {basic, json, type Received, TestServer} from './http-server.js'

/** A source that counts how often it is asked and can be changed meanwhile. */
export class TestCredentials implements CredentialSource {
  asked = 0
  found: FoundCredential | undefined

  constructor(username?: string, password = 'CANARY-PASSWORD') {
    if (username !== undefined) this.login(username, password)
  }

  async credentialFor(): Promise<FoundCredential | undefined> {
    this.asked++
    return this.found
  }

  identity(token: string): this {
    this.found = {credential: {kind: 'identity', token: new Secret(token)}, origin: {source: 'options'}}
    return this
  }

  login(username: string, password: string): this {
    const credential = {kind: 'basic', password: new Secret(password), username} as const
    this.found = {credential, origin: {source: 'options'}}
    return this
  }

  registryToken(token: string): this {
    this.found = {credential: {kind: 'registry-token', token: new Secret(token)}, origin: {source: 'options'}}
    return this
  }
}

/** A registry that wants `user:password` of basic for everything. */
export async function basicRegistry(username: string, password: string): Promise<TestServer> {
  return TestServer.start((request, response) => {
    request.raw.resume()
    if (request.headers.authorization === basic(username, password)) response.end('in')
    else json(challenged(response, 'Basic realm="registry"'), 401, DENIED)
  })
}

export const DENIED = {errors: [{code: 'UNAUTHORIZED', message: 'authentication required'}]}

export function challenged<T extends {setHeader: (name: string, value: string) => unknown}>(
  response: T,
  challenge: string,
): T {
  response.setHeader('www-authenticate', challenge)
  return response
}

export interface BearerOptions {
  /** Seconds. */
  readonly life?: number
  /** User and password, or nobody may ask for a token. */
  readonly login?: readonly [string, string]
}

/** A registry with a token service of its own: tokens are numbered, and can be made invalid. */
export class BearerRegistry {
  /** The scope that a challenge names, by the request. */
  challengeScope: (request: Received) => string = () => 'repository:a/b:pull'
  registry!: TestServer
  service!: TestServer
  /** Query of each token request. */
  readonly tokenRequests: URLSearchParams[] = []
  readonly #options: BearerOptions
  readonly #valid = new Set<string>()

  private constructor(options: BearerOptions) {
    this.#options = options
  }

  static async start(options: BearerOptions = {}): Promise<BearerRegistry> {
    const fake = new BearerRegistry(options)
    fake.service = await TestServer.start((request, response) => fake.#giveToken(request, response))
    fake.registry = await TestServer.start((request, response) => fake.#serve(request, response))
    return fake
  }

  revokeAll(): void {
    this.#valid.clear()
  }

  #giveToken({headers, url}: Received, response: ServerResponse): void {
    const {life, login} = this.#options
    this.tokenRequests.push(new URL(url, this.service.origin).searchParams)
    if (login && headers.authorization !== basic(...login)) {
      json(response, 401, DENIED)
      return
    }

    const token = `token-${this.tokenRequests.length}`
    this.#valid.add(token)
    json(response, 200, {expires_in: life, token})
  }

  #serve(request: Received, response: ServerResponse): void {
    const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    if (this.#valid.has(token)) {
      request.raw.resume()
      request.raw.once('end', () => response.end(token))
      return
    }

    const parameters = `service="registry",scope="${this.challengeScope(request)}"`
    json(challenged(response, `Bearer realm="${this.service.url('/token')}",${parameters}`), 401, DENIED)
  }
}
