import type {RequestOptions} from 'node:https'
import type {Socket} from 'node:net'

import {HttpsProxyAgent} from 'https-proxy-agent'
import http from 'node:http'
import https from 'node:https'
import {isIP} from 'node:net'
import {getProxyForUrl} from 'proxy-from-env'

import type {TlsConnectOptions} from './tls.js'

import {InvalidArgumentError} from '../../errors.js'
import {rememberSecret} from '../redact.js'
import {isLoopback} from '../reference.js'
import {ConnectionMemory} from './connection-memory.js'
import {bare, goesAround} from './no-proxy.js'

/** How one request travels: which pool, and how the request changes when a proxy reads it. */
export interface Route {
  readonly agent: http.Agent
  /** Laid over the request's own options. */
  readonly options: Partial<TlsConnectOptions> & RequestOptions
  /** The proxy in between, without its login. */
  readonly proxy?: undefined | URL
  /** Added to the request's headers: only what the proxy itself is told. */
  readonly proxyHeaders: Readonly<Record<string, string>>
  readonly secure: boolean
}

export interface RoutesOptions {
  readonly concurrency: number
  readonly connectMs: number
  readonly tls: TlsConnectOptions
}

/**
 * The connections of one client: one pool straight to the hosts, one per proxy. Idle connections are used last in,
 * first out, so that those not needed fall idle long enough for the peer to close them.
 */
export class Routes {
  readonly #agents = new Map<string, http.Agent>()
  readonly #options: RoutesOptions

  constructor(options: RoutesOptions) {
    this.#options = options
  }

  /** Closes idle connections; those in use are closed when their answer has been read. */
  close(): void {
    for (const agent of this.#agents.values()) {
      Object.assign(agent, {keepAlive: false})
      this.dropIdle(agent)
    }
  }

  /** Drops idle connections of one pool: when one of them turned out dead, its neighbours likely are too. */
  dropIdle(agent: http.Agent): void {
    for (const sockets of Object.values(agent.freeSockets)) {
      for (const socket of sockets ?? []) socket.destroy()
    }
  }

  /**
   * The way to `url`: straight, or through the proxy that the environment names (`HTTPS_PROXY`, `HTTP_PROXY`,
   * `NO_PROXY`). A loopback host is never reached through a proxy.
   */
  to(url: URL): Route {
    const secure = url.protocol === 'https:'
    const proxy = isLoopback(url.hostname) ? undefined : proxyFor(url)
    if (!proxy) {
      return {
        agent: this.#agent(secure ? 'https:' : 'http:', () => this.#direct(secure)),
        options: secure ? this.#options.tls : {},
        proxyHeaders: {},
        secure,
      }
    }

    return secure ? this.#tunnel(proxy) : this.#forward(url, proxy)
  }

  #agent(key: string, make: () => http.Agent): http.Agent {
    const known = this.#agents.get(key)
    if (known) return known
    const agent = make()
    this.#agents.set(key, agent)
    return agent
  }

  #direct(secure: boolean): http.Agent {
    return secure ? new SecureAgent(this.#pool()) : new PlainAgent(this.#pool())
  }

  /** Plain http through a proxy: the proxy gets the whole URL and reads along, as it could anyway. */
  #forward(url: URL, proxy: Proxy): Route {
    const secure = proxy.url.protocol === 'https:'
    return {
      agent: this.#agent(`forward ${proxy.url.href}`, () => this.#direct(secure)),
      options: {
        ...(secure && this.#options.tls),
        host: bare(proxy.url.hostname),
        hostname: bare(proxy.url.hostname),
        path: `${url.origin}${url.pathname}${url.search}`,
        port: proxy.url.port || (secure ? 443 : 80),
        protocol: proxy.url.protocol,
        // Node would take the name from the Host header, which is the registry's.
        ...(secure && {servername: isIP(bare(proxy.url.hostname)) ? '' : proxy.url.hostname}),
      },
      proxy: proxy.url,
      proxyHeaders: {host: url.host, ...authorization(proxy)},
      secure,
    }
  }

  #pool(): http.AgentOptions {
    return {
      keepAlive: true,
      maxFreeSockets: this.#options.concurrency,
      maxSockets: this.#options.concurrency,
      scheduling: 'lifo',
    }
  }

  /** https through a proxy: a CONNECT tunnel with TLS to the registry inside, so that the proxy reads nothing. */
  #tunnel(proxy: Proxy): Route {
    const {connectMs, tls} = this.#options
    const agent = this.#agent(
      `tunnel ${proxy.url.href}`,
      () => new TunnelAgent(proxy.url, {...this.#pool(), ...tls, connectMs, headers: () => authorization(proxy)}),
    )
    // The agent hands its own TLS options to the proxy's connection only: these are for the registry's.
    return {agent, options: tls, proxy: proxy.url, proxyHeaders: {}, secure: true}
  }
}

/** Connections that read into memory which is used again. */
class PlainAgent extends http.Agent {
  override createConnection(...[options, callback]: Parameters<http.Agent['createConnection']>) {
    return ConnectionMemory.connect(options, (all) => super.createConnection(all, callback) as Socket)
  }
}

class SecureAgent extends https.Agent {
  override createConnection(...[options, callback]: Parameters<https.Agent['createConnection']>) {
    return ConnectionMemory.connect(options, (all) => super.createConnection(all, callback) as Socket)
  }
}

interface TunnelOptions extends http.AgentOptions, TlsConnectOptions {
  readonly connectMs: number
  readonly headers: () => Record<string, string>
}

/** Emitted on a request that is given up: while it waits for a tunnel it emits nothing else. */
export const ABANDONED = 'kloset-oci:abandoned'

/** `HttpsProxyAgent` whose way to the proxy ends in time, and with the request that asked for it. */
class TunnelAgent extends HttpsProxyAgent<string> {
  readonly #connectMs: number

  constructor(proxy: URL, {connectMs, ...options}: TunnelOptions) {
    super(proxy.href, options)
    this.#connectMs = connectMs
  }

  override async connect(
    request: http.ClientRequest,
    options: Parameters<HttpsProxyAgent<string>['connect']>[1],
  ): Promise<Socket> {
    const ended = new AbortController()
    const end = () => ended.abort(Object.assign(new Error('the tunnel was given up'), {code: 'ETIMEDOUT'}))
    const timer = setTimeout(end, this.#connectMs)
    request.once(ABANDONED, end)
    // A view of this agent whose connection to the proxy listens to the signal.
    const view = Object.create(this, {
      connectOpts: {value: {...this.connectOpts, signal: ended.signal}},
    }) as this
    try {
      return await super.connect.call(view, request, options)
    } finally {
      clearTimeout(timer)
      request.off(ABANDONED, end)
    }
  }
}

interface Proxy {
  readonly login: string | undefined
  /** Without user info: the agent's debug output prints it. */
  readonly url: URL
}

function proxyFor(target: URL): Proxy | undefined {
  const text = getProxyForUrl(target.href)
  if (!text) return undefined
  const {NO_PROXY, no_proxy: noProxy = NO_PROXY} = process.env
  if (noProxy && goesAround(target, noProxy)) return undefined
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new InvalidArgumentError('the proxy of the environment is not a URL', {
      suggestions: ['Set HTTPS_PROXY or HTTP_PROXY like http://proxy.example:3128, or unset it.'],
    })
  }

  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new InvalidArgumentError(`a proxy of the kind ${url.protocol}// is not supported`, {
      suggestions: ['Set HTTPS_PROXY or HTTP_PROXY to an http:// or https:// proxy.'],
    })
  }

  const {password, username} = url
  const login = username || password ? `${decode(username)}:${decode(password)}` : undefined
  rememberSecret(decode(password))
  return {login, url: new URL(`${url.protocol}//${url.host}/`)}
}

function authorization({login}: Proxy): Record<string, string> {
  if (login === undefined) return {}
  const encoded = Buffer.from(login).toString('base64')
  rememberSecret(encoded)
  return {'Proxy-Authorization': `Basic ${encoded}`}
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
