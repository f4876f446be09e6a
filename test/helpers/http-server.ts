import http, {type IncomingMessage, type ServerResponse} from 'node:http'
import https, {type ServerOptions} from 'node:https'
import {type AddressInfo} from 'node:net'
import {text} from 'node:stream/consumers'

import type {HttpResponse} from '../../src/registry/transport/http.js'

/** What a server got, its body read to the end unless the handler answered earlier. */
export interface Received {
  readonly headers: http.IncomingHttpHeaders
  readonly method: string
  readonly raw: IncomingMessage
  /** Number of the connection it came on, from 1. */
  readonly socket: number
  /** Path and query. */
  readonly url: string
}

export type Handler = (request: Received, response: ServerResponse) => Promise<void> | void

const running = new Set<TestServer>()

/** A server on a free port of the loopback interface that keeps a list of what it was sent. */
export class TestServer {
  readonly requests: Received[] = []
  readonly #secure: boolean
  readonly #server: http.Server
  #sockets = 0

  private constructor(handler: Handler, tls: ServerOptions | undefined) {
    this.#secure = tls !== undefined
    const accept = (raw: IncomingMessage, response: ServerResponse) => {
      const {socket} = raw
      const {number} = socket as typeof socket & {number?: number}
      const request: Received = {
        headers: raw.headers,
        method: raw.method ?? '',
        raw,
        socket: number ?? 0,
        url: raw.url ?? '',
      }
      this.requests.push(request)
      Promise.resolve(handler(request, response)).catch((error: unknown) => {
        response.writeHead(599).end(String(error))
      })
    }

    this.#server = tls ? https.createServer(tls, accept) : http.createServer(accept)
    this.#server.on(tls ? 'secureConnection' : 'connection', (socket: {number?: number}) => {
      this.#sockets++
      socket.number = this.#sockets
    })
    this.#server.on('clientError', (_error, socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  }

  static async start(handler: Handler, tls?: ServerOptions): Promise<TestServer> {
    const server = new TestServer(handler, tls)
    await new Promise<void>((resolve) => {
      server.#server.listen(0, '127.0.0.1', resolve)
    })
    running.add(server)
    return server
  }

  /** Connections accepted so far. */
  get connections(): number {
    return this.#sockets
  }

  get host(): string {
    return `127.0.0.1:${this.port}`
  }

  get origin(): string {
    return `${this.#secure ? 'https' : 'http'}://${this.host}`
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get raw(): http.Server {
    return this.#server
  }

  async close(): Promise<void> {
    running.delete(this)
    this.#server.closeAllConnections()
    await new Promise((resolve) => {
      this.#server.close(resolve)
    })
  }

  url(path: string): URL {
    return new URL(path, this.origin)
  }
}

/** For `afterEach`. */
export async function closeServers(): Promise<void> {
  await Promise.all([...running].map((server) => server.close()))
}

/** `Authorization` of basic. */
export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

export function bodyOf(response: HttpResponse): Promise<string> {
  return text(response.body)
}

/** Answers with JSON. */
export function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, {'content-type': 'application/json'}).end(JSON.stringify(value))
}
