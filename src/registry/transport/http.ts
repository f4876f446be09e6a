import type {Readable} from 'node:stream'

import type {ContentSource} from '../../util/content-source.js'

/** The one view of HTTP that the rest of `src/registry` has. Implementations wrap one another: see `client.ts`. */

/** Response headers, names in lower case; a repeated header is joined with `, `. */
export type HttpHeaders = Readonly<Record<string, string>>

export type HttpMethod = 'DELETE' | 'GET' | 'HEAD' | 'PATCH' | 'POST' | 'PUT'

export interface HttpRequest {
  /** Which try this is, from 1; set by the retrying client for those below it. */
  readonly attempt?: number | undefined
  /** Bytes to send, re-openable so that a retry or a redirect can send them again. Content-Length is their size. */
  readonly body?: ContentSource | undefined
  readonly headers?: HttpHeaders | undefined
  readonly method: HttpMethod
  /**
   * `follow` (default), `manual`: a redirect is the answer; `same-origin`: one to another origin is an error, for
   * bodies that hold secrets.
   */
  readonly redirect?: 'follow' | 'manual' | 'same-origin' | undefined
  /**
   * `safe` (default for GET and HEAD): again on 408, 429, 5xx and a lost connection.
   * `never`: the caller restarts a larger unit (an upload from its POST) itself.
   */
  readonly retry?: 'never' | 'safe' | undefined
  /** What the call is for, so that the token asks for no more: `repository:org/repo:pull,push`. */
  readonly scopes?: readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
  readonly url: URL
}

/** Why a refusal (401) came to a request without a login: none was found, or the answer had no challenge to answer. */
export type LoginGap = 'none-found' | 'unasked'

export interface HttpResponse {
  /** How many requests it took, 1 when the first one answered. */
  readonly attempts: number
  /** Unread: the receiver reads it to the end or destroys it. */
  readonly body: Readable
  readonly headers: HttpHeaders
  /** Only of a 401: absent when a login was sent, and refused. */
  readonly loginGap?: LoginGap | undefined
  readonly status: number
  /** Where the answer came from, after redirects. */
  readonly url: URL
}

export interface HttpClient {
  /** Frees idle connections. */
  close(): void
  /**
   * Any status is an answer; only the absence of one throws.
   * @throws TransportError | InterruptedError | ProtocolError (a redirect that must not be followed) |
   * CredentialError (a login that is there cannot be used) | RegistryResponseError (of the token service)
   */
  send(request: HttpRequest): Promise<HttpResponse>
}
