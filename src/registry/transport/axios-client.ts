import {type AxiosAdapter, AxiosHeaders, type AxiosResponse, getAdapter} from 'axios'
import http, {type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions} from 'node:http'
import https from 'node:https'

import type {ContentSource} from '../../util/content-source.js'
import type {HttpClient, HttpHeaders, HttpRequest, HttpResponse} from './http.js'
import type {RequestObserver, Timeouts} from './options.js'

import {KlosetOciError, LocalIoError, messageOf} from '../../errors.js'
import {interruption} from '../../util/abort.js'
import {redactUrl} from '../redact.js'
import {ABANDONED, type Route, Routes} from './agents.js'
import {BodyStream} from './body-stream.js'
import {CountedBody} from './counted-body.js'
import {codeOf, explainFailure, ProxyRefusedError, TimeoutError} from './failures.js'
import {type TlsConnectOptions} from './tls.js'
import {Watchdog} from './watchdog.js'

export interface AxiosClientOptions {
  readonly concurrency?: number | undefined
  readonly onRequest?: RequestObserver | undefined
  readonly timeouts?: Timeouts | undefined
  readonly tls: TlsConnectOptions
  readonly userAgent?: string | undefined
}

const DEFAULT_CONCURRENCY = 16
const DEFAULT_TIMEOUTS = {connect: 30_000, idle: 60_000, response: 300_000} as const
/** Codes of a connection that was closed under our feet. */
const LOST = new Set(['ECONNRESET', 'EPIPE'])

/**
 * The part of axios that sends, by itself: what stands before it, where each request's settings are merged with those of
 * an instance and content is converted, takes longer than Node's own work for a small request.
 */
const send: AxiosAdapter = getAdapter('http')

const FIXED = {
  decompress: false,
  // -1 is axios' "no limit": any other value, Infinity too, sends every body through one more stream.
  maxBodyLength: -1,
  maxContentLength: -1,
  maxRedirects: 0,
  proxy: false,
  responseType: 'stream',
  validateStatus: null,
} as const

const COMMON_HEADERS = {accept: '*/*', 'accept-encoding': 'identity'} as const

/** One request over the wire: no redirect, no retry, no credential. The only place that knows axios. */
export class AxiosClient implements HttpClient {
  readonly #observer: RequestObserver | undefined
  readonly #routes: Routes
  readonly #timeouts: Required<{[K in keyof Timeouts]: number}>
  readonly #userAgent: string

  constructor(options: AxiosClientOptions) {
    const {timeouts} = options
    this.#timeouts = {
      connect: timeouts?.connect ?? DEFAULT_TIMEOUTS.connect,
      idle: timeouts?.idle ?? DEFAULT_TIMEOUTS.idle,
      response: timeouts?.response ?? DEFAULT_TIMEOUTS.response,
    }
    this.#observer = options.onRequest
    this.#routes = new Routes({
      concurrency: options.concurrency ?? DEFAULT_CONCURRENCY,
      connectMs: this.#timeouts.connect,
      tls: options.tls,
    })
    this.#userAgent = options.userAgent ?? 'kloset-oci'
  }

  close(): void {
    this.#routes.close()
  }

  async send(request: HttpRequest): Promise<HttpResponse> {
    const route = this.#routes.to(request.url)
    try {
      return await this.#exchange(request, route)
    } catch (error) {
      if (!(error instanceof StaleConnectionError)) throw error
      // The peer closed an idle connection just as it was picked: it has seen nothing of the request.
      this.#routes.dropIdle(route.agent)
    }

    try {
      return await this.#exchange(request, route)
    } catch (error) {
      throw error instanceof StaleConnectionError ? error.failure : error
    }
  }

  async #exchange(request: HttpRequest, route: Route): Promise<HttpResponse> {
    const exchange = new Exchange({observer: this.#observer, request, route, timeouts: this.#timeouts})
    try {
      const sent = send({
        ...FIXED,
        data: exchange.body,
        headers: new AxiosHeaders({...COMMON_HEADERS, 'user-agent': this.#userAgent, ...exchange.headers}),
        method: request.method,
        transport: {request: exchange.open},
        url: withoutUserInfo(request.url),
      }) as Promise<AxiosResponse<IncomingMessage>>
      const answer = await exchange.unlessAborted(sent)
      // Of plain http the proxy says by the same answer as the registry what it has to say for itself.
      if (answer.status === 407 && route.proxy) {
        answer.data.destroy()
        throw new ProxyRefusedError(407)
      }

      return exchange.answer(answer)
    } catch (error) {
      throw exchange.failure(error)
    }
  }
}

interface ExchangeOptions {
  readonly observer: RequestObserver | undefined
  readonly request: HttpRequest
  readonly route: Route
  readonly timeouts: Required<{[K in keyof Timeouts]: number}>
}

/** One request and its answer, with what has to be watched and cleaned up around them. */
class Exchange {
  readonly body: CountedBody | undefined
  /** The `request` function that axios calls to get its connection. */
  readonly open = (options: RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest => {
    const {request, route, timeouts} = this.#options
    // Few, and of one shape: axios gives many more, in an object that Node is slow to copy, and copies twice.
    const {headers, hostname, method, path, port, protocol} = options
    const merged: RequestOptions = {
      agent: route.agent,
      headers: {...(headers as Record<string, string>), ...route.proxyHeaders},
      hostname,
      method,
      path,
      port,
      protocol,
      ...route.options,
    }
    const clientRequest = (route.secure ? https : http).request(merged, onResponse)
    this.#clientRequest = clientRequest
    this.#watchdog = new Watchdog(clientRequest, timeouts)
    if (request.signal?.aborted) this.#onAbort()
    clientRequest.once('close', () => this.body?.destroy())
    return clientRequest
  }
  #answer: BodyStream | undefined
  #clientRequest: ClientRequest | undefined
  #giveUp: ((error: Error) => void) | undefined
  /** A single listener for all of it: to add one takes as long as other steps of a small request. */
  readonly #onAbort = () => {
    const error = interruption(this.#options.request.signal!)
    this.#giveUp?.(error)
    this.#answer?.destroy(error)
    this.#clientRequest?.emit(ABANDONED)
    this.#clientRequest?.destroy(error)
  }
  readonly #options: ExchangeOptions
  #reported = false
  #sourceError: Error | undefined
  readonly #started = performance.now()
  #status: number | undefined

  #watchdog: undefined | Watchdog

  constructor(options: ExchangeOptions) {
    const {signal} = options.request
    if (signal?.aborted) throw interruption(signal)
    this.#options = options
    this.body = options.request.body && this.#openBody(options.request.body)
    signal?.addEventListener('abort', this.#onAbort, {once: true})
  }

  get headers(): Record<string, string> {
    const {body, headers} = this.#options.request
    return {...headers, ...(body && {'content-length': String(body.size)})}
  }

  answer({data: source, status}: AxiosResponse<IncomingMessage>): HttpResponse {
    const {request, timeouts} = this.#options
    this.#watchdog?.stop()
    this.#status = status
    const body = new BodyStream({
      done: (bytes, error) => {
        this.#stopListening()
        // An answer that came before the request was sent: the rest of the request has no place to go.
        if (!this.#clientRequest?.writableFinished) this.#clientRequest?.destroy()
        this.#report(bytes, error)
      },
      explain: (error) => explainFailure(error, {...request, answered: true}),
      idle: () => this.#timeout(`no byte of the answer came for ${seconds(timeouts.idle)}`),
      idleMs: timeouts.idle,
      source,
    })
    // The reader may have gone when the connection breaks.
    body.on('error', () => {})
    this.#answer = body
    if (request.signal?.aborted) this.#onAbort()
    // A refusal in the middle of an upload: do not send the rest of it.
    if (status >= 300 && this.#clientRequest && !this.#clientRequest.writableFinished) this.body?.unpipe()
    return {attempts: 1, body, headers: plainHeaders(source.headers), status, url: request.url}
  }

  /** What to throw for an exchange that brought no answer. */
  failure(thrown: unknown): Error {
    const {method, signal} = this.#options.request
    this.#stopListening()
    this.#watchdog?.stop()
    this.body?.destroy()
    const failure = this.#failureOf(thrown)
    this.#report(0, failure)
    const stale =
      this.#clientRequest?.reusedSocket &&
      !signal?.aborted &&
      !this.#sourceError &&
      method !== 'PATCH' &&
      LOST.has(codeOf(thrown) ?? '')
    return stale ? new StaleConnectionError(failure) : failure
  }

  /** Waits for the answer. A request that waits for a connection notices its own end only when it gets one. */
  async unlessAborted<T>(sent: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#giveUp = reject
      sent.then(resolve, reject)
    })
  }

  #failureOf(thrown: unknown): Error {
    const {method, signal, url} = this.#options.request
    if (signal?.aborted) return interruption(signal)
    if (this.#sourceError) return this.#sourceError
    return explainFailure(thrown, {method, proxy: this.#options.route.proxy, url})
  }

  #openBody(source: ContentSource): CountedBody {
    const body = new CountedBody(source.open(), source.size)
    body.once('error', (error) => {
      this.#sourceError = sourceErrorOf(error)
    })
    return body
  }

  #report(bytes: number, error: Error | undefined): void {
    const {observer, request} = this.#options
    if (!observer || this.#reported) return
    this.#reported = true
    observer({
      attempt: request.attempt ?? 1,
      bytes,
      ...(error && {error: error instanceof KlosetOciError ? String(error.facts['reason'] ?? error.code) : error.name}),
      method: request.method,
      ms: performance.now() - this.#started,
      sent: this.body?.sent ?? 0,
      ...(this.#status !== undefined && {status: this.#status}),
      url: redactUrl(request.url),
    })
  }

  #stopListening(): void {
    this.#options.request.signal?.removeEventListener('abort', this.#onAbort)
  }

  #timeout(what: string): Error {
    const {method, url} = this.#options.request
    return explainFailure(new TimeoutError(what), {answered: true, method, url})
  }
}

/** A kept connection was closed before it answered. Never leaves this file. */
class StaleConnectionError extends Error {
  readonly failure: Error

  constructor(failure: Error) {
    super('stale connection')
    this.failure = failure
  }
}

function sourceErrorOf(error: Error): Error {
  if (error instanceof KlosetOciError) return error
  return new LocalIoError(`the content to send could not be read: ${messageOf(error)}`, {cause: error})
}

/** Node's own, in lower case already: axios' are made anew of them. */
function plainHeaders(headers: IncomingHttpHeaders): HttpHeaders {
  const plain: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name] = typeof value === 'string' ? value : value.join(', ')
  }

  return plain
}

/** axios would turn user info into an Authorization header. */
function withoutUserInfo(url: URL): string {
  if (!url.username && !url.password) return url.href
  const copy = new URL(url)
  copy.username = ''
  copy.password = ''
  return copy.href
}

function seconds(milliseconds: number): string {
  return `${milliseconds / 1000} s`
}
