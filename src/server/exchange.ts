import type {IncomingMessage, ServerResponse} from 'node:http'

import {once} from 'node:events'
import {type Readable} from 'node:stream'
import {pipeline} from 'node:stream/promises'

import type {Principal} from './auth/principal.js'
import type {Headers, HttpFault} from './faults.js'

/** How long the rest of a refused body is read and thrown away, so that the client gets to see the answer. */
const DRAIN_MS = 30_000

const COMMON: Headers = {
  'docker-distribution-api-version': 'registry/2.0',
  'x-content-type-options': 'nosniff',
}

export interface ExchangeOptions {
  /** The client sent `Expect: 100-continue` and waits for it before the body. */
  readonly awaitsContinue: boolean
  /** Aborts when the server closes. */
  readonly signal: AbortSignal
}

/** One request and its response. */
export class Exchange {
  readonly method: string
  readonly path: string
  /** Who asks; set once it is known. */
  principal: Principal | undefined
  readonly query: URLSearchParams
  readonly request: IncomingMessage
  readonly signal: AbortSignal
  #awaitsContinue: boolean
  readonly #response: ServerResponse

  constructor(request: IncomingMessage, response: ServerResponse, {awaitsContinue, signal}: ExchangeOptions) {
    // With the whole address, as clients of proxies write it.
    const url = (request.url ?? '/').replace(/^https?:\/\/[^/?#]*/i, '')
    const mark = url.indexOf('?')
    this.method = request.method ?? 'GET'
    this.path = mark === -1 ? url : url.slice(0, mark)
    this.query = new URLSearchParams(mark === -1 ? '' : url.slice(mark + 1))
    this.request = request
    this.signal = signal
    this.#awaitsContinue = awaitsContinue
    this.#response = response
  }

  /** The announced length of the body; nothing when it comes in pieces of unknown number. */
  get contentLength(): number | undefined {
    const text = this.header('content-length')
    if (text !== undefined) return Number(text)
    return this.header('transfer-encoding') === undefined ? 0 : undefined
  }

  /** Whether the response has begun. */
  get isAnswered(): boolean {
    return this.#response.headersSent
  }

  get isHead(): boolean {
    return this.method === 'HEAD'
  }

  get status(): number {
    return this.#response.statusCode
  }

  /** The body as it comes. Leaving it before its end leaves the connection whole, so that an answer can be sent. */
  body(): AsyncIterable<Buffer> {
    if (this.#awaitsContinue) this.#response.writeContinue()
    this.#awaitsContinue = false
    return this.request.iterator({destroyOnReturn: false}) as AsyncIterable<Buffer>
  }

  /** Sends a response of known content; a HEAD gets the same headers. */
  async bytes(status: number, headers: Headers, content: Uint8Array): Promise<void> {
    this.#begin(status, {...headers, 'content-length': content.byteLength})
    await this.#end(this.isHead ? undefined : content)
  }

  /** Sends a response without content. */
  async empty(status: number, headers: Headers = {}): Promise<void> {
    this.#begin(status, status === 204 || status === 304 ? headers : {'content-length': 0, ...headers})
    await this.#end()
  }

  /** Tells the client what went wrong; one that already reads a response finds it cut off. */
  async fail(fault: HttpFault): Promise<void> {
    if (this.isAnswered || this.#response.destroyed) {
      this.#response.destroy()
      return
    }

    const body = Buffer.from(JSON.stringify(fault))
    await this.bytes(fault.status, {'content-type': 'application/json', ...fault.headers}, body)
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }

  async json(status: number, value: unknown, headers: Headers = {}): Promise<void> {
    await this.bytes(status, {'content-type': 'application/json', ...headers}, Buffer.from(JSON.stringify(value)))
  }

  /** Sends a response as it is read. The headers must hold its length, or it is sent in pieces. */
  async stream(status: number, headers: Headers, content: AsyncIterable<Buffer | string> | Readable): Promise<void> {
    this.#begin(status, headers)
    await pipeline(content, this.#response, {signal: this.signal})
    this.#drain()
  }

  #begin(status: number, headers: Headers): void {
    const all: Record<string, number | string | string[]> = {}
    for (const [name, value] of Object.entries({...COMMON, ...headers})) {
      all[name] = typeof value === 'object' ? [...value] : value
    }

    // A client that still waits for its 100 may or may not send the body now: nobody could tell what comes next.
    if (this.#awaitsContinue) all['connection'] = 'close'
    this.#response.writeHead(status, all)
  }

  #drain(): void {
    const {request} = this
    if (request.complete || request.destroyed) return
    const timer = setTimeout(() => request.socket.destroy(), DRAIN_MS)
    timer.unref()
    request.once('close', () => clearTimeout(timer))
    request.once('end', () => clearTimeout(timer))
    request.on('error', () => {})
    request.resume()
  }

  async #end(content?: Uint8Array): Promise<void> {
    const response = this.#response
    if (response.destroyed) return
    const over = Promise.race([once(response, 'finish'), once(response, 'close')])
    response.end(content)
    await over.catch(() => {})
    this.#drain()
  }
}
