import type {AddressInfo, Socket} from 'node:net'

import {once} from 'node:events'
import {createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http'
import {createServer as createHttpsServer} from 'node:https'

import type {Authorizer} from './auth/authorizer.js'
import type {Users} from './auth/users.js'
import type {Root} from './roots/root.js'

import {InterruptedError, InvalidArgumentError} from '../errors.js'
import {throwIfAborted} from '../util/abort.js'
import {type Clock, systemClock} from '../util/clock.js'
import {BasicAuthorizer, openAuthorizer} from './auth/authorizer.js'
import {BearerAuthorizer} from './auth/bearer.js'
import {Exchange} from './exchange.js'
import {faultOf} from './faults.js'
import {Registry} from './registry.js'
import {openLayoutRoot} from './roots/layout-root.js'
import {UploadSessions, type UploadSessionsOptions} from './uploads/sessions.js'

/** A connection on which nothing moves for so long is closed, in the middle of a body too. */
const IDLE_MS = 120_000
/** How long a keep-alive connection waits for its next request. */
const KEEP_ALIVE_MS = 75_000
const HEADERS_MS = 60_000
/** How long `close` lets requests that are under way finish. */
const GRACE_MS = 5000

const REALM = 'kloset-oci'

export interface AuthOptions {
  /** Lets everybody read. Default false. */
  readonly anonymousPull?: boolean | undefined
  readonly kind: 'basic' | 'bearer'
  /** Bearer: address of the token service as clients reach it. Default: `/token` of the host that they asked. */
  readonly realm?: string | undefined
  readonly users: Users
}

/** One request that was answered. No query, no header: nothing of it is secret. */
export interface ServedRequest {
  /** What broke, for failures of the server's own. */
  readonly error?: unknown
  readonly method: string
  readonly ms: number
  readonly path: string
  /** The response's status; nothing when the client went away before it. */
  readonly status: number | undefined
}

export interface ServerOptions {
  readonly auth?: AuthOptions | undefined
  readonly clock?: Clock | undefined
  readonly deleteEnabled?: boolean | undefined
  /** False skips every fsync. Default true. */
  readonly durable?: boolean | undefined
  /** `HOST:PORT`, `[IPv6]:PORT` or `:PORT`; port 0 is any free one. Default `127.0.0.1:5000`. */
  readonly listen?: string | undefined
  readonly onRequest?: ((request: ServedRequest) => void) | undefined
  readonly readOnly?: boolean | undefined
  /** Name of the one repository when the root is an image layout itself. Default: its folder's name. */
  readonly repositoryName?: string | undefined
  /** A folder: an image layout, or layouts by repository name. Or a root of another kind, `new MemoryRoot()` say. */
  readonly root: Root | string
  /** Closes the server when it aborts. */
  readonly signal?: AbortSignal | undefined
  /** Takes manifests that name content which is not there. Default false. */
  readonly sparse?: boolean | undefined
  /** PEM. Without it the server speaks plain http. */
  readonly tls?: undefined | {readonly cert: Buffer | string; readonly key: Buffer | string}
  readonly uploads?: Omit<UploadSessionsOptions, 'clock'> | undefined
}

export interface RunningServer {
  readonly address: AddressInfo
  /** Ends uploads, lets other requests finish for a moment, and frees everything. May be called again. */
  close(): Promise<void>
  /** Resolves once the server is closed. */
  readonly closed: Promise<void>
  readonly root: Root
  /** `http://127.0.0.1:5000`, without a slash at the end. */
  readonly url: string
}

/**
 * Serves image layouts as an OCI registry.
 * @throws InvalidArgumentError | NotFoundError, or the system's own error when it cannot listen there
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const {clock = systemClock, root: rootOption, signal, tls} = options
  throwIfAborted(signal)
  const {host, port} = parseListen(options.listen ?? '127.0.0.1:5000')
  const root = typeof rootOption === 'string' ? await openLayoutRoot(rootOption, {...options}) : rootOption
  const sessions = new UploadSessions({...options.uploads, clock})
  const closing = new AbortController()
  const registry = new Registry({
    authorizer: authorizerOf(options, clock),
    deleteEnabled: options.deleteEnabled ?? true,
    readOnly: options.readOnly ?? false,
    root,
    sessions,
    sparse: options.sparse ?? false,
  })
  const serve = (awaitsContinue: boolean) => (request: IncomingMessage, response: ServerResponse) => {
    const exchange = new Exchange(request, response, {awaitsContinue, signal: closing.signal})
    // It reports failures itself.
    answer(registry, exchange, {clock, onRequest: options.onRequest}).catch(() => response.destroy())
  }

  const server = newServer(tls)
  server.on('request', serve(false))
  server.on('checkContinue', serve(true))
  // Uploads may take as long as they move.
  server.requestTimeout = 0
  server.headersTimeout = HEADERS_MS
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.setTimeout(IDLE_MS)
  server.on('clientError', onClientError)
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (error) {
    await root.close()
    throw error
  }

  const running = new Running({closing, root, server, sessions, tls: tls !== undefined})
  const onAbort = () => {
    running.close().catch(() => {})
  }

  signal?.addEventListener('abort', onAbort, {once: true})
  server.once('close', () => signal?.removeEventListener('abort', onAbort))
  if (signal?.aborted) onAbort()
  return running
}

interface RunningParts {
  readonly closing: AbortController
  readonly root: Root
  readonly server: Server
  readonly sessions: UploadSessions
  readonly tls: boolean
}

class Running implements RunningServer {
  readonly address: AddressInfo
  readonly closed: Promise<void>
  readonly root: Root
  readonly url: string
  #closing: Promise<void> | undefined
  readonly #parts: RunningParts
  readonly #sweeping: Promise<void>

  constructor(parts: RunningParts) {
    const {closing, root, server, sessions, tls} = parts
    this.#parts = parts
    this.address = server.address() as AddressInfo
    this.closed = once(server, 'close').then(async () => this.close())
    // Whoever does not wait for it learns of a failure from `close`.
    this.closed.catch(() => {})
    this.root = root
    this.url = urlOf(this.address, tls ? 'https' : 'http')
    this.#sweeping = sessions.keepSweeping(closing.signal)
  }

  async close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  async #shutDown(): Promise<void> {
    const {closing, root, server, sessions} = this.#parts
    const reason = new InterruptedError('the server closes')
    const timers = [
      setTimeout(() => closing.abort(reason), GRACE_MS),
      setTimeout(() => server.closeAllConnections(), GRACE_MS + 1000),
    ]
    const stopped = once(server, 'close')
    server.close()
    server.closeIdleConnections()
    await sessions.close()
    await stopped
    for (const timer of timers) clearTimeout(timer)
    closing.abort(reason)
    await this.#sweeping
    // One may have been begun by the last request.
    await sessions.close()
    await root.close()
  }
}

/** Reads `HOST:PORT`, `[IPv6]:PORT` or `:PORT`. @throws InvalidArgumentError */
export function parseListen(text: string): {readonly host: string | undefined; readonly port: number} {
  const match = /^(?:\[([\d.:A-Fa-f]+)\]|([^:[\]/\s]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65_535) {
    throw new InvalidArgumentError(`"${text.slice(0, 100)}": not HOST:PORT`, {
      suggestions: ['Write 127.0.0.1:5000, [::1]:5000, or :5000 for every address of this machine.'],
    })
  }

  const host = match[1] ?? match[2]
  return {host: host === '' ? undefined : host, port}
}

async function answer(
  registry: Registry,
  exchange: Exchange,
  {clock, onRequest}: {readonly clock: Clock; readonly onRequest: ServerOptions['onRequest']},
): Promise<void> {
  const began = clock.now()
  let error: unknown
  try {
    await registry.handle(exchange)
  } catch (error_) {
    const fault = faultOf(error_)
    if (fault.status >= 500) error = fault.cause ?? fault
    await exchange.fail(fault)
  }

  onRequest?.({
    method: exchange.method,
    ms: clock.now() - began,
    path: exchange.path,
    status: exchange.isAnswered ? exchange.status : undefined,
    ...(error !== undefined && {error}),
  })
}

function authorizerOf({auth, tls}: ServerOptions, clock: Clock): Authorizer {
  if (!auth) return openAuthorizer
  const {anonymousPull = false, kind, realm, users} = auth
  if (kind === 'basic') return new BasicAuthorizer({anonymousPull, realm: REALM, users})
  return new BearerAuthorizer({
    anonymousPull,
    clock,
    realm,
    scheme: tls ? 'https' : 'http',
    service: REALM,
    users,
  })
}

function newServer(tls: ServerOptions['tls']): Server {
  if (!tls) return createHttpServer()
  try {
    return createHttpsServer({cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2'})
  } catch (error) {
    throw new InvalidArgumentError('tls: the certificate and its key are not a pair of PEM files', {cause: error})
  }
}

/** What is no HTTP gets a plain answer, if there is anybody left to read it. */
function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }

  const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

function urlOf({address, family, port}: AddressInfo, scheme: string): string {
  return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}
