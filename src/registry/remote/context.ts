import type {HttpClient, HttpHeaders, HttpMethod, HttpResponse} from '../transport/http.js'

import {UnsupportedError} from '../../errors.js'
import {throwIfAborted} from '../../util/abort.js'
import {collect} from '../../util/collect.js'
import {type ContentSource} from '../../util/content-source.js'
import {redactUrl} from '../redact.js'
import {type RetryPolicy} from '../transport/retry.js'
import {Capabilities} from './capabilities.js'
import {RepositoryUrls} from './urls.js'

/** What a request is for. Tokens are asked for no more than this. */
export type Access = 'delete' | 'pull' | 'push'

const ACTIONS: Readonly<Record<Access, string>> = {delete: 'delete', pull: 'pull', push: 'pull,push'}

export interface RemoteCall {
  readonly access: Access
  readonly body?: ContentSource | undefined
  readonly headers?: HttpHeaders | undefined
  readonly method: HttpMethod
  /** Another repository that is read too. */
  readonly pullsFrom?: string | undefined
  readonly retry?: 'never' | 'safe' | undefined
  readonly signal?: AbortSignal | undefined
  readonly url: URL
}

export interface RemoteContextOptions {
  readonly baseUrl: URL
  readonly chunkBytes: number
  readonly client: HttpClient
  readonly concurrency: number
  readonly durable: boolean
  readonly location: string
  readonly maxSkipBytes: number
  readonly name: string
  readonly policy: RetryPolicy
  readonly readOnly: boolean
}

/** What the parts of one remote repository share. */
export class RemoteContext {
  readonly capabilities: Capabilities
  readonly client: HttpClient
  readonly concurrency: number
  /** Whether what was written is asked for again before it counts. */
  readonly durable: boolean
  readonly location: string
  /** A body that comes whole instead of as a range is read away up to this many bytes before the range. */
  readonly maxSkipBytes: number
  readonly name: string
  readonly policy: RetryPolicy
  readonly readOnly: boolean
  readonly urls: RepositoryUrls

  constructor(options: RemoteContextOptions) {
    this.capabilities = new Capabilities({chunkBytes: options.chunkBytes})
    this.client = options.client
    this.concurrency = options.concurrency
    this.durable = options.durable
    this.location = options.location
    this.maxSkipBytes = options.maxSkipBytes
    this.name = options.name
    this.policy = options.policy
    this.readOnly = options.readOnly
    this.urls = new RepositoryUrls(options.baseUrl, options.name)
  }

  /**
   * Sends a GET and reads a small answer whole, again when the connection breaks in the middle of it. An answer with
   * another status than 200 comes back unread.
   * @throws ProtocolError when it is larger than `limit`
   */
  async read(
    call: Omit<RemoteCall, 'access' | 'method'>,
    {limit}: {readonly limit: number},
  ): Promise<{readonly bytes: Buffer | undefined; readonly response: HttpResponse}> {
    const {signal} = call
    for (let attempt = 1; ; attempt++) {
      const response = await this.send({...call, access: 'pull', method: 'GET'})
      if (response.status !== 200) return {bytes: undefined, response}
      try {
        const bytes = await collect(response.body, {limit, what: () => `GET ${redactUrl(call.url)}`})
        return {bytes, response}
      } catch (error) {
        const delay = signal?.aborted ? undefined : this.policy.delayFor(attempt, {error})
        if (delay === undefined) throw error
        await this.policy.pause(delay, signal)
      }
    }
  }

  /** Sends one request with the scopes of this repository. Any status is an answer. */
  async send({access, pullsFrom, ...request}: RemoteCall): Promise<HttpResponse> {
    throwIfAborted(request.signal)
    if (this.readOnly && access !== 'pull') {
      throw new UnsupportedError(`${this.location}: opened for reading only`, {
        suggestions: ['Open it without the read-only option to write to it.'],
      })
    }

    const scopes = [`repository:${this.name}:${ACTIONS[access]}`]
    if (pullsFrom !== undefined && pullsFrom !== this.name) scopes.push(`repository:${pullsFrom}:pull`)
    return this.client.send({...request, scopes})
  }
}
