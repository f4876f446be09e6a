import {type ErrorOptions, type Facts, KlosetOciError, messageOf} from '../../errors.js'
import {plainText, redactUrl} from '../redact.js'
import {httpsAdvice} from '../reference.js'

/** What kept an answer from coming. */
export type TransportReason =
  'dns' | 'plain-http' | 'protocol' | 'proxy' | 'refused' | 'reset' | 'timeout' | 'tls' | 'unreachable'

export interface TransportErrorOptions extends ErrorOptions {
  readonly method: string
  readonly reason: TransportReason
  readonly url: string | URL
}

/** No answer came: the name, the network, TLS, a proxy or the peer stood in the way. `code` is `UNREACHABLE`. */
export class TransportError extends KlosetOciError {
  readonly method: string
  readonly reason: TransportReason
  /** Redacted. */
  readonly url: string

  constructor(what: string, options: TransportErrorOptions) {
    const url = redactUrl(options.url)
    super('UNREACHABLE', `${options.method} ${url}: ${what}`, {
      cause: options.cause,
      facts: {reason: options.reason, ...options.facts},
      ...(options.suggestions && {suggestions: options.suggestions}),
    })
    this.method = options.method
    this.reason = options.reason
    this.url = url
  }

  /** Whether the same request may well be answered a moment later. */
  get retryable(): boolean {
    return RETRYABLE.has(this.reason)
  }

  /** The same error, with how many tries it took. */
  withAttempts(attempts: number): TransportError {
    if (attempts <= 1 || this.facts['attempts'] !== undefined) return this
    const prefix = `${this.method} ${this.url}: `
    const facts: Facts = {...this.facts, attempts}
    return new TransportError(`${this.message.slice(prefix.length)} (${attempts} attempts)`, {
      cause: this.cause,
      facts,
      method: this.method,
      reason: this.reason,
      suggestions: this.suggestions,
      url: this.url,
    })
  }
}

const RETRYABLE: ReadonlySet<TransportReason> = new Set(['refused', 'reset', 'timeout', 'unreachable'])

/** A limit of ours ran out. Raised inside the transport, explained by `explainFailure`. */
export class TimeoutError extends Error {
  override name = 'TimeoutError'
}

/** The proxy answered the CONNECT with something else than 200. */
export class ProxyRefusedError extends Error {
  override name = 'ProxyRefusedError'
  readonly status: number

  constructor(status: number) {
    super(`the proxy answered ${status} to CONNECT`)
    this.status = status
  }
}

interface Explanation {
  readonly reason: TransportReason
  readonly suggestions?: readonly string[]
  readonly what: string
}

const CERTIFICATE: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  CERT_REVOKED: 'the certificate is revoked',
  CERT_SIGNATURE_FAILURE: 'the signature of the certificate is wrong',
  CERT_UNTRUSTED: 'the certificate is not trusted',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host name',
  INVALID_PURPOSE: 'the certificate is not made for a server',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate comes from a private authority',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate comes from an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate comes from an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate comes from an unknown authority',
}

const TRUST_SUGGESTION = 'Name the file of the authority that signed it with --ca-file.'
const CLOCK_SUGGESTION = 'Check the clock of this machine, or have the certificate renewed.'

export interface FailedRequest {
  /** Whether an answer had begun. */
  readonly answered?: boolean
  readonly method: string
  /** Through which the request went. */
  readonly proxy?: undefined | URL
  readonly url: string | URL
}

interface Situation {
  readonly answered: boolean
  readonly proxy: undefined | URL
  readonly url: URL
}

/**
 * Turns whatever the HTTP stack threw into a `TransportError`. Nothing of the thrown object but its code and a plain
 * message is kept: it may hold request headers.
 */
export function explainFailure(thrown: unknown, {answered = false, method, proxy, url}: FailedRequest): TransportError {
  const origin = rootOf(thrown)
  const code = codeOf(origin)
  const {reason, suggestions, what} = explain(origin, code, {answered, proxy, url: new URL(url)})
  const cause = new Error(plainText(messageOf(origin)))
  cause.name = origin instanceof Error ? origin.name : 'Error'
  delete cause.stack
  return new TransportError(what, {
    cause,
    facts: code ? {errno: code} : {},
    method,
    reason,
    ...(suggestions && {suggestions}),
    url,
  })
}

/** The error at the bottom: what Node raised, not what a library wrapped around it. */
function rootOf(thrown: unknown): unknown {
  let current = thrown
  for (let depth = 0; depth < 8 && current instanceof Error; depth++) {
    if (current instanceof AggregateError && current.errors[0] instanceof Error) current = current.errors[0]
    else if (current.cause instanceof Error) current = current.cause
    else break
  }

  return current
}

/** Node's error code (`ECONNRESET`), when there is one. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return typeof code === 'string' ? code : undefined
}

function explain(error: unknown, code: string | undefined, {answered, proxy, url}: Situation): Explanation {
  if (error instanceof TimeoutError) return {reason: 'timeout', what: error.message}
  if (error instanceof ProxyRefusedError) return explainProxy(error)
  if (proxy && messageOf(error).startsWith('Proxy connection ended')) return explainNoTunnel(proxy)
  if (code === undefined) return {reason: 'protocol', what: `no usable answer (${plainText(messageOf(error), 120)})`}
  return (
    (proxy && explainUnreachedProxy(code, proxy)) ??
    explainCertificate(code) ??
    explainWrongScheme(code, messageOf(error), url) ??
    explainNetwork(code, url, answered) ?? {
      reason: code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS') || code === 'EPROTO' ? 'tls' : 'protocol',
      what: `no usable answer (${code})`,
    }
  )
}

const PROXY_ADVICE = 'Check HTTPS_PROXY and HTTP_PROXY, or name the registry in NO_PROXY to go around the proxy.'

function explainProxy(error: ProxyRefusedError): Explanation {
  const credentials = error.status === 407
  return {
    reason: 'proxy',
    suggestions: [
      credentials
        ? 'Give the proxy its user and password: HTTPS_PROXY or HTTP_PROXY, as http://USER:PASSWORD@HOST:PORT.'
        : PROXY_ADVICE,
    ],
    what: credentials ? 'the proxy asks for credentials (407)' : error.message,
  }
}

function explainNoTunnel({host}: URL): Explanation {
  return {
    reason: 'proxy',
    suggestions: [PROXY_ADVICE],
    what: `the proxy ${host} closed the connection before there was a tunnel`,
  }
}

/** Who connects by a proxy meets the registry's own failures only in what the proxy says. */
function explainUnreachedProxy(code: string, proxy: URL): Explanation | undefined {
  const explained = UNREACHED.has(code) ? explainNetwork(code, proxy, false) : undefined
  return (
    explained && {...explained, suggestions: [PROXY_ADVICE], what: `the proxy cannot be reached: ${explained.what}`}
  )
}

const UNREACHED: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'EAI_NONAME',
  'ECONNREFUSED',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTFOUND',
  'ETIMEDOUT',
])

function explainCertificate(code: string): Explanation | undefined {
  const what = CERTIFICATE[code]
  if (!what) return undefined
  const suggestions = []
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') suggestions.push('Use the host name that the certificate was made for.')
  else if (code.startsWith('CERT_')) suggestions.push(CLOCK_SUGGESTION)
  else suggestions.push(TRUST_SUGGESTION)
  suggestions.push('Only to try it out: --insecure-skip-tls-verify accepts any certificate.')
  return {reason: 'tls', suggestions, what}
}

function explainWrongScheme(code: string, message: string, url: URL): Explanation | undefined {
  const secure = url.protocol === 'https:'
  const early = /before secure TLS connection/i.test(message)
  const notTls = /wrong.version.number|packet.length.too.long|http.request|unknown.protocol/i.test(`${code} ${message}`)
  if (secure && (notTls || early)) {
    return {
      reason: notTls ? 'plain-http' : 'reset',
      suggestions: [`If ${url.host} serves plain http, say so with --plain-http.`],
      what: notTls ? 'the answer is not TLS: plain http is spoken there' : 'the connection was closed before TLS began',
    }
  }

  if (code === 'HPE_HEADER_OVERFLOW') {
    return {
      reason: 'protocol',
      suggestions: ['Look at what the registry, or a proxy in between, adds to its answers: cookies, for example.'],
      what: 'the head of the answer is larger than is taken',
    }
  }

  // Another mistake of the peer's comes after a beginning that is http.
  if (!secure && code === 'HPE_INVALID_CONSTANT') {
    return {
      reason: 'protocol',
      suggestions: [httpsAdvice(url.host)],
      what: 'the answer is not http: perhaps TLS is spoken there',
    }
  }

  return undefined
}

function explainNetwork(code: string, {host, hostname, protocol}: URL, answered: boolean): Explanation | undefined {
  switch (code) {
    case 'EAI_AGAIN': {
      return {reason: 'unreachable', what: `the name ${hostname} could not be looked up just now`}
    }

    case 'EAI_FAIL':
    case 'EAI_NODATA':
    case 'EAI_NONAME':
    case 'ENOTFOUND': {
      return {
        reason: 'dns',
        suggestions: ['Check the spelling of the host, and that this machine can resolve it.'],
        what: `the host name ${hostname} is not known`,
      }
    }

    case 'ECONNABORTED':
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ERR_STREAM_PREMATURE_CLOSE': {
      return {
        reason: 'reset',
        ...(protocol === 'http:' && !answered && {suggestions: [httpsAdvice(host)]}),
        what: `the connection was closed before ${answered ? 'the answer was complete' : 'an answer came'}`,
      }
    }

    case 'ECONNREFUSED': {
      return {
        reason: 'refused',
        suggestions: [`Check that a registry listens on ${host}.`],
        what: `nothing listens on ${host}`,
      }
    }

    case 'EHOSTDOWN':
    case 'EHOSTUNREACH':
    case 'ENETDOWN':
    case 'ENETUNREACH': {
      return {
        reason: 'unreachable',
        suggestions: ['Check the network of this machine, and whether a proxy is needed (HTTPS_PROXY).'],
        what: `there is no route to ${host}`,
      }
    }

    case 'ETIMEDOUT': {
      return {reason: 'timeout', what: `${host} does not answer`}
    }

    default: {
      return undefined
    }
  }
}
