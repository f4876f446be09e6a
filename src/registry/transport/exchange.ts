import http, {type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions} from 'node:http'
import https from 'node:https'

import type {HttpHeaders, HttpRequest, HttpResponse} from './http.js'
import type {RequestObserver} from './options.js'

import {KlosetOciError, LocalIoError, messageOf} from '../../errors.js'
import {interruption} from '../../util/abort.js'
import {type ContentSource, readableOf, takeHeld} from '../../util/content-source.js'
import {redactUrl} from '../redact.js'
import {ABANDONED, type Route} from './agents.js'
import {BodyStream} from './body-stream.js'
import {CountedBody, sizeError} from './counted-body.js'
import {codeOf, explainFailure, ProxyRefusedError, TimeoutError} from './failures.js'
import {Watchdog, type WatchdogLimits} from './watchdog.js'

const COMMON_HEADERS = {accept: '*/*', 'accept-encoding': 'identity'} as const

/** So much content the system takes from us at once: whether more of it goes out is watched. */
const ONE_WRITE_BYTES = 64 * 1024

/** Codes of a connection that was closed under our feet. */
const LOST = new Set(['ECONNRESET', 'EPIPE'])

export interface ExchangeOptions {
  readonly observer: RequestObserver | undefined
  readonly request: HttpRequest
  readonly route: Route
  readonly timeouts: WatchdogLimits
  readonly userAgent: string
}

/** One request and its answer, with what has to be watched and cleaned up around them. */
export class Exchange {
  /**
   * The `request` function that axios calls to get its connection. Headers and content go past it, and of an answer it is
   * told no more than that there is one: what it would make of them (copies, listeners) costs as much as all else that
   * it does.
   */
  readonly open = (options: RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest => {
    const {request, route, timeouts} = this.#options
    // Few, and of one shape: axios gives many more, in an object that Node is slow to copy, and copies twice.
    const {hostname, method, path, port, protocol} = options
    const merged: RequestOptions = {
      agent: route.agent,
      headers: this.#headers(),
      hostname,
      method,
      path,
      port,
      protocol,
      ...route.options,
    }
    const clientRequest = (route.secure ? https : http).request(merged, (response) => {
      this.#response = response
      const {statusCode, statusMessage} = response
      onResponse({destroyed: true, headers: {}, statusCode, statusMessage} as IncomingMessage)
    })
    this.#clientRequest = clientRequest
    this.#watchdog = new Watchdog(clientRequest, timeouts, {isLong: (request.body?.size ?? 0) > ONE_WRITE_BYTES})
    if (request.signal?.aborted) this.#onAbort()
    if (this.#stream) clientRequest.once('close', () => this.#stream?.destroy())
    return this.#handleOf(clientRequest)
  }
  #answer: BodyStream | undefined
  #clientRequest: ClientRequest | undefined
  #giveUp: ((error: Error) => void) | undefined
  #held: Buffer | undefined
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
  #response: IncomingMessage | undefined
  #sourceError: Error | undefined
  readonly #started = performance.now()
  #status: number | undefined
  #stream: CountedBody | undefined
  #watchdog: undefined | Watchdog

  constructor(options: ExchangeOptions) {
    const {signal} = options.request
    if (signal?.aborted) throw interruption(signal)
    this.#options = options
    if (options.request.body) this.#openBody(options.request.body)
    signal?.addEventListener('abort', this.#onAbort, {once: true})
  }

  /** @throws ProxyRefusedError */
  async answer(status: number): Promise<HttpResponse> {
    const {request, route} = this.#options
    const source = this.#response!
    // Of plain http the proxy says by the same answer as the registry what it has to say for itself.
    if (status === 407 && route.proxy) {
      source.destroy()
      throw new ProxyRefusedError(407)
    }

    this.#watchdog?.stop()
    this.#status = status
    const held = heldBody(source)
    const body = held ? readableOf(held) : this.#streamOf(source)
    // A refusal in the middle of an upload: do not send the rest of it.
    if (status >= 300 && this.#clientRequest && !this.#clientRequest.writableFinished) this.#stream?.unpipe()
    if (held) {
      this.#answered(held.length)
      // So that the next request finds the connection free.
      if (!source.closed) await closed(source)
    }

    return {attempts: 1, body, headers: plainHeaders(source.headers), status, url: request.url}
  }

  /** What to throw for an exchange that brought no answer. */
  failure(thrown: unknown): Error {
    const {method, signal} = this.#options.request
    this.#stopListening()
    this.#watchdog?.stop()
    this.#stream?.destroy()
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

  /** Nothing more will come of the answer. */
  #answered(bytes: number, error?: Error): void {
    this.#stopListening()
    // An answer that came before the request was sent: the rest of the request has no place to go.
    if (!this.#clientRequest?.writableFinished) this.#clientRequest?.destroy()
    this.#report(bytes, error)
  }

  #failureOf(thrown: unknown): Error {
    const {method, signal, url} = this.#options.request
    if (signal?.aborted) return interruption(signal)
    if (this.#sourceError) return this.#sourceError
    return explainFailure(thrown, {method, proxy: this.#options.route.proxy, url})
  }

  /** What axios uses of a request: to hear of its failure, and to have it sent. */
  #handleOf(clientRequest: ClientRequest): ClientRequest {
    const handle = {
      destroy: (error?: Error) => clientRequest.destroy(error),
      end: () => (this.#stream ? this.#stream.pipe(clientRequest) : clientRequest.end(this.#held)),
      on(event: string, listener: (error: Error) => void) {
        if (event === 'error') clientRequest.on(event, listener)
        return handle
      },
      once: () => handle,
      setTimeout: () => handle,
    }
    return handle as unknown as ClientRequest
  }

  #headers(): Record<string, string> {
    const {request, route, userAgent} = this.#options
    const {body, headers} = request
    return {
      ...COMMON_HEADERS,
      'user-agent': userAgent,
      ...headers,
      ...(body && {'content-length': String(body.size)}),
      ...route.proxyHeaders,
    }
  }

  /** Content goes out as it is where it is little and in memory, which spares the turns of a stream. */
  #openBody(source: ContentSource): void {
    const stream = source.open()
    this.#held = takeHeld(stream)
    if (this.#held) {
      if (this.#held.length !== source.size) throw sizeError(source.size, this.#held.length)
      return
    }

    this.#stream = new CountedBody(stream, source.size)
    this.#stream.once('error', (error) => {
      this.#sourceError = sourceErrorOf(error)
      this.#clientRequest?.destroy(error)
    })
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
      sent: this.#sent(),
      ...(this.#status !== undefined && {status: this.#status}),
      url: redactUrl(request.url),
    })
  }

  /** Bytes of content that went out. */
  #sent(): number {
    if (this.#stream) return this.#stream.sent
    return this.#clientRequest?.writableFinished ? (this.#options.request.body?.size ?? 0) : 0
  }

  #stopListening(): void {
    this.#options.request.signal?.removeEventListener('abort', this.#onAbort)
  }

  /** An answer whose content is still to come. */
  #streamOf(source: IncomingMessage): BodyStream {
    const {request, timeouts} = this.#options
    const body = new BodyStream({
      done: (bytes, error) => this.#answered(bytes, error),
      explain: (error) => explainFailure(error, {...request, answered: true}),
      idle: () => this.#timeout(`no byte of the answer came for ${seconds(timeouts.idle)}`),
      idleMs: timeouts.idle,
      source,
    })
    // The reader may have gone when the connection breaks.
    body.on('error', () => {})
    this.#answer = body
    if (request.signal?.aborted) this.#onAbort()
    return body
  }

  #timeout(what: string): Error {
    const {method, url} = this.#options.request
    return explainFailure(new TimeoutError(what), {answered: true, method, url})
  }
}

/** All of an answer's content, when it came with its head. */
function heldBody(source: IncomingMessage): Buffer | undefined {
  if (!source.complete || source.readableFlowing !== null) return undefined
  return (source.read() as Buffer | null) ?? Buffer.alloc(0)
}

/** A kept connection was closed before it answered. Never leaves the client. */
export class StaleConnectionError extends Error {
  readonly failure: Error

  constructor(failure: Error) {
    super('stale connection')
    this.failure = failure
  }
}

/** Until nothing more happens on it. */
async function closed(source: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    source.once('close', resolve)
  })
}

function sourceErrorOf(error: Error): Error {
  if (error instanceof KlosetOciError) return error
  return new LocalIoError(`the content to send could not be read: ${messageOf(error)}`, {cause: error})
}

function plainHeaders(headers: IncomingHttpHeaders): HttpHeaders {
  const plain: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name] = typeof value === 'string' ? value : value.join(', ')
  }

  return plain
}

function seconds(milliseconds: number): string {
  return `${milliseconds / 1000} s`
}
