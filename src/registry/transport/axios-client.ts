import {type AxiosAdapter, AxiosHeaders, getAdapter} from 'axios'

import type {HttpClient, HttpRequest, HttpResponse} from './http.js'
import type {RequestObserver, Timeouts} from './options.js'
import type {TlsConnectOptions} from './tls.js'
import type {WatchdogLimits} from './watchdog.js'

import {type Route, Routes} from './agents.js'
import {Exchange, StaleConnectionError} from './exchange.js'

export interface AxiosClientOptions {
  readonly concurrency?: number | undefined
  readonly onRequest?: RequestObserver | undefined
  readonly timeouts?: Timeouts | undefined
  readonly tls: TlsConnectOptions
  readonly userAgent?: string | undefined
}

const DEFAULT_CONCURRENCY = 16
const DEFAULT_TIMEOUTS = {connect: 30_000, idle: 60_000, response: 300_000} as const

/**
 * The part of axios that sends, by itself: what stands before it, where each request's settings are merged with those of
 * an instance and content is converted, takes longer than Node's own work for a small request.
 */
const send: AxiosAdapter = getAdapter('http')

const FIXED = {
  maxRedirects: 0,
  proxy: false,
  responseType: 'stream',
  validateStatus: null,
} as const

/** What axios asks for, so that it adds nothing; no request is sent with them. */
const NO_HEADERS = new AxiosHeaders({'accept-encoding': 'identity', 'user-agent': 'kloset-oci'})

/** One request over the wire: no redirect, no retry, no credential. The only place that knows axios. */
export class AxiosClient implements HttpClient {
  readonly #observer: RequestObserver | undefined
  readonly #routes: Routes
  readonly #timeouts: WatchdogLimits
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
    const exchange = new Exchange({
      observer: this.#observer,
      request,
      route,
      timeouts: this.#timeouts,
      userAgent: this.#userAgent,
    })
    try {
      const sent = send({
        ...FIXED,
        headers: NO_HEADERS,
        method: request.method,
        transport: {request: exchange.open},
        url: withoutUserInfo(request.url),
      })
      const {status} = await exchange.unlessAborted(sent)
      return await exchange.answer(status)
    } catch (error) {
      throw exchange.failure(error)
    }
  }
}

/** No login is for axios to hold: what it holds is in its errors too. */
function withoutUserInfo(url: URL): string {
  if (!url.username && !url.password) return url.href
  const copy = new URL(url)
  copy.username = ''
  copy.password = ''
  return copy.href
}
