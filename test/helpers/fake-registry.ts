import type {AddressInfo} from 'node:net'

import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http'

import {FakeAuth} from './fake/auth.js'
import {sendBytes, serveBlob, serveManifest} from './fake/content.js'
import {Exchange} from './fake/exchange.js'
import {type FakeOptions, FakeRepository, type Fault, type LoggedRequest} from './fake/model.js'
import {listReferrers, listTags} from './fake/tags.js'
import {continueUpload, startUpload} from './fake/uploads.js'

export {PASSWORD, USER} from './fake/auth.js'
export * from './fake/model.js'

const NAME = String.raw`[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*`
const ROUTES = new RegExp(`^/v2/(${NAME})/(blobs/uploads|blobs|manifests|tags|referrers)/([^/]*)$`)

/**
 * A strict registry in memory on a free port of the loopback interface. Anything malformed that a client sends is kept
 * in `violations`; tests end by asserting that there are none. `options` may be changed at any time.
 */
export class FakeRegistry {
  readonly auth = new FakeAuth()
  /** How many connections were opened to it. */
  connections = 0
  options: FakeOptions
  readonly repositories = new Map<string, FakeRepository>()
  readonly requests: LoggedRequest[] = []
  readonly violations: string[] = []
  readonly #faults: {fault: Fault; left: number; skip: number}[] = []
  readonly #registry: Server
  readonly #storage: Server

  private constructor(options: FakeOptions) {
    this.options = options
    this.#registry = createServer((request, response) => this.#accept('registry', request, response))
    this.#storage = createServer((request, response) => this.#accept('storage', request, response))
    this.#registry.on('connection', () => {
      this.connections += 1
    })
  }

  static async start(options: FakeOptions = {}): Promise<FakeRegistry> {
    const fake = new FakeRegistry(options)
    for (const server of [fake.#registry, fake.#storage]) {
      await new Promise<void>((resolve) => {
        server.listen(0, '127.0.0.1', resolve)
      })
    }

    return fake
  }

  /** `127.0.0.1:PORT` */
  get host(): string {
    return `127.0.0.1:${portOf(this.#registry)}`
  }

  get origin(): string {
    return `http://${this.host}`
  }

  get storageOrigin(): string {
    return `http://127.0.0.1:${portOf(this.#storage)}`
  }

  /** How many requests were made, of a method and with a path when these are given. */
  count(method?: string, path?: RegExp): number {
    return this.requests.filter((log) => (!method || log.method === method) && (!path || path.test(log.path))).length
  }

  /** Plans a fault. Faults are tried in the order in which they were planned. */
  fail(fault: Fault): void {
    this.#faults.push({fault, left: fault.times ?? 1, skip: fault.skip ?? 0})
  }

  /** Forgets planned faults and the log of requests. */
  forget(): void {
    this.#faults.length = 0
    this.requests.length = 0
  }

  repository(name: string): FakeRepository {
    const repository = this.repositories.get(name) ?? new FakeRepository()
    this.repositories.set(name, repository)
    return repository
  }

  async stop(): Promise<void> {
    for (const server of [this.#registry, this.#storage]) {
      server.closeAllConnections()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    }
  }

  #accept(origin: 'registry' | 'storage', request: IncomingMessage, response: ServerResponse): void {
    const log: LoggedRequest = {
      authorization: request.headers.authorization,
      bodyBytes: 0,
      headers: request.headers,
      method: request.method ?? '',
      origin,
      path: request.url ?? '',
      status: undefined,
    }
    this.requests.push(log)
    const exchange = new Exchange({
      fault: this.#faultFor(log),
      log,
      request,
      response,
      url: new URL(log.path, origin === 'registry' ? this.origin : this.storageOrigin),
      violate: (text) => this.violations.push(text),
    })
    response.on('error', () => {})
    request.on('error', () => {})
    this.#handle(exchange).catch((error: unknown) => {
      this.violations.push(`the fake broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      response.destroy()
    })
  }

  #faultFor(log: LoggedRequest): Fault | undefined {
    for (const planned of this.#faults) {
      const {fault} = planned
      if (planned.left <= 0 || (fault.method && fault.method !== log.method)) continue
      if (fault.path && !fault.path.test(log.path)) continue
      if (planned.skip > 0) {
        planned.skip--
        continue
      }

      planned.left--
      return fault
    }

    return undefined
  }

  async #handle(exchange: Exchange): Promise<void> {
    const {fault} = exchange
    fault?.before?.()
    checkHeaders(exchange)
    if (fault?.hang === true) return
    if (fault?.dropRequestAfter === 0) {
      exchange.request.socket.destroy()
      return
    }

    if (fault?.status !== undefined || fault?.html || fault?.endless) {
      if ((await exchange.body()) !== undefined) exchange.sendFault(fault)
      return
    }

    await (exchange.log.origin === 'storage' ? this.#serveStorage(exchange) : this.#route(exchange))
  }

  async #route(exchange: Exchange): Promise<void> {
    const {pathname} = exchange.url
    if (pathname === '/token') {
      this.auth.token(exchange)
      return
    }

    if (pathname === '/v2/' && exchange.method === 'GET') {
      if (this.auth.admit(exchange, this.options)) exchange.send(200, {}, '{}')
      return
    }

    const match = ROUTES.exec(decodeURIComponent(pathname))
    if (!match) {
      exchange.violate('no such path')
      exchange.error(404)
      return
    }

    const [, name = '', kind = '', rest = ''] = match
    const actions = actionsOf(exchange.method)
    if (!this.auth.admit(exchange, this.options, {actions, name})) return
    await this.#serve(exchange, {kind, name, rest})
  }

  async #serve(exchange: Exchange, {kind, name, rest}: {kind: string; name: string; rest: string}): Promise<void> {
    const existing = this.repositories.get(name)
    const {options} = this
    const upload = {...options, name, uploadOrigin: this.storageOrigin}
    switch (`${kind} ${allowed(kind, rest, exchange.method)}`) {
      case 'blobs/uploads true': {
        if (rest === '') {
          const repositoryOf = (from: string) => this.repositories.get(from)
          await startUpload(exchange, this.repository(name), {...upload, repositoryOf})
        } else await continueUpload(exchange, existing, {...upload, id: rest})
        return
      }

      case 'blobs true': {
        const storage = options.blobs === 'redirect' ? `${this.storageOrigin}/${name}` : undefined
        serveBlob(exchange, existing, {...options, digest: rest, ...(storage && {storage})})
        return
      }

      case 'manifests true': {
        await serveManifest(exchange, this.repository(name), {...options, reference: rest})
        return
      }

      case 'referrers true': {
        if (options.referrers) listReferrers(exchange, existing, rest)
        else exchange.error(404)
        return
      }

      case 'tags true': {
        listTags(exchange, existing, options)
        return
      }

      default: {
        exchange.violate('no such method here')
        exchange.error(405)
      }
    }
  }

  /** Where blobs are redirected to, or uploads sent to: another origin, which is nobody's business but its own. */
  async #serveStorage(exchange: Exchange): Promise<void> {
    if (exchange.log.authorization !== undefined) exchange.violate('a credential for another origin')
    const {pathname} = exchange.url
    const upload = /^\/v2\/(.+)\/blobs\/uploads\/([^/]+)$/.exec(pathname)
    if (upload) {
      const [, name = '', id = ''] = upload
      const options = {...this.options, id, name, uploadOrigin: this.storageOrigin}
      await continueUpload(exchange, this.repositories.get(name), options)
      return
    }

    const cut = pathname.lastIndexOf('/')
    const digest = pathname.slice(cut + 1)
    const bytes = this.repositories.get(pathname.slice(1, cut))?.blobs.get(digest)
    if (!bytes || exchange.url.searchParams.get('signature') !== 's3cret') {
      exchange.violate('not the address that was handed out')
      exchange.error(403)
    } else sendBytes(exchange, bytes, {...this.options, digest, digestHeader: 'missing'})
  }
}

function allowed(kind: string, rest: string, method: string): boolean {
  if (kind === 'blobs') return ['DELETE', 'GET', 'HEAD'].includes(method)
  if (kind === 'manifests') return ['DELETE', 'GET', 'HEAD', 'PUT'].includes(method)
  if (kind === 'blobs/uploads')
    return rest === '' ? method === 'POST' : ['DELETE', 'GET', 'PATCH', 'PUT'].includes(method)
  return method === 'GET' && (kind === 'referrers' || rest === 'list')
}

function actionsOf(method: string): string[] {
  if (method === 'GET' || method === 'HEAD') return ['pull']
  return method === 'DELETE' ? ['delete'] : ['pull', 'push']
}

function checkHeaders(exchange: Exchange): void {
  const {headers} = exchange.request
  if (headers.cookie !== undefined) exchange.violate('a cookie')
  if (headers['transfer-encoding'] !== undefined) exchange.violate('a body without Content-Length')
  const empty = exchange.method === 'GET' || exchange.method === 'HEAD' || exchange.method === 'DELETE'
  if (empty && (headers['content-length'] ?? '0') !== '0') exchange.violate('a body where none belongs')
  if (headers.range !== undefined && exchange.method !== 'GET') exchange.violate('Range on another method than GET')
  const encoding = headers['accept-encoding']
  if (encoding !== undefined && encoding !== 'identity') exchange.violate(`Accept-Encoding: ${String(encoding)}`)
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
