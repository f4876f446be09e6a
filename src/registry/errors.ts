import type {HttpMethod, HttpResponse, LoginGap} from './transport/http.js'

import {type ErrorCode, KlosetOciError} from '../errors.js'
import {type Clock, systemClock} from '../util/clock.js'
import {isObject, isString} from '../util/json.js'
import {plainText, redactUrl} from './redact.js'
import {httpsAdvice} from './reference.js'
import {discard, readBounded} from './transport/body.js'
import {parseRetryAfter} from './transport/retry-after.js'

export {redactUrl} from './redact.js'
export {TransportError, type TransportReason} from './transport/failures.js'

/** One entry of a registry's `errors` list, cleaned of control characters and cut to a readable length. */
export interface Diagnostic {
  /** `BLOB_UNKNOWN`, `DENIED`…; empty when the registry gave none. */
  readonly code: string
  readonly message: string
}

export interface ResponseErrorOptions {
  readonly attempts: number
  /** Instead of the one that follows from the status. */
  readonly code?: ErrorCode | undefined
  readonly diagnostics: readonly Diagnostic[]
  readonly loginGap?: LoginGap | undefined
  readonly method: HttpMethod
  /** Said instead of a missing message: that the answer was a web page, for example. */
  readonly note?: string | undefined
  readonly now: number
  /** When to come back, in milliseconds from `now`. */
  readonly retryAfterMs?: number | undefined
  readonly status: number
  readonly url: string | URL
}

const MAX_DIAGNOSTICS = 8

/**
 * The registry answered with a status that was not asked for. `code` follows the status: 401 `UNAUTHORIZED`,
 * 403 `FORBIDDEN`, 404 `NOT_FOUND`, 405 `UNSUPPORTED`, 429 `RATE_LIMITED`, others `REGISTRY`.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
 */
export class RegistryResponseError extends KlosetOciError {
  readonly attempts: number
  readonly diagnostics: readonly Diagnostic[]
  readonly method: HttpMethod
  /** Seconds that the registry asked to wait. */
  readonly retryAfter: number | undefined
  readonly status: number
  /** Redacted. */
  readonly url: string

  constructor(options: ResponseErrorOptions) {
    const {attempts, diagnostics, method, retryAfterMs, status} = options
    const url = redactUrl(options.url)
    const retryAfter = retryAfterMs === undefined ? undefined : Math.ceil(retryAfterMs / 1000)
    super(options.code ?? codeOf(status), messageFor(options, url), {
      facts: {
        attempts,
        status,
        ...(diagnostics[0]?.code && {registryCode: diagnostics[0].code}),
        ...(retryAfter !== undefined && {retryAfter}),
      },
      suggestions: suggestionsFor(options),
    })
    this.attempts = attempts
    this.diagnostics = diagnostics
    this.method = method
    this.retryAfter = retryAfter
    this.status = status
    this.url = url
  }

  /** Whether the registry named `code` (`BLOB_UNKNOWN`) as one of its reasons. */
  names(code: string): boolean {
    return this.diagnostics.some((diagnostic) => diagnostic.code === code)
  }
}

/**
 * The answer itself when its status is one of `statuses`, with its body unread.
 * @throws RegistryResponseError otherwise, after the body was read (bounded) or dropped
 */
export async function expectStatus(
  response: HttpResponse,
  statuses: readonly number[],
  method: HttpMethod,
  clock: Clock = systemClock,
): Promise<HttpResponse> {
  if (statuses.includes(response.status)) return response
  throw await responseError(response, method, clock)
}

/** The error for an answer, with what the registry says about it. Uses up the body, never more than 64 KiB of it. */
export async function responseError(
  response: HttpResponse,
  method: HttpMethod,
  clock: Clock = systemClock,
): Promise<RegistryResponseError> {
  const {attempts, headers, loginGap, status, url} = response
  const now = clock.now()
  const said = await readDiagnostics(response, method)
  return new RegistryResponseError({
    ...said,
    attempts,
    loginGap,
    method,
    now,
    retryAfterMs: parseRetryAfter(headers['retry-after'], now),
    status,
    url,
  })
}

interface Said {
  readonly diagnostics: readonly Diagnostic[]
  readonly note?: string
}

async function readDiagnostics(response: HttpResponse, method: HttpMethod): Promise<Said> {
  if (method === 'HEAD') {
    await discard(response.body)
    return {diagnostics: []}
  }

  const {bytes, complete} = await readBounded(response.body)
  const text = bytes.toString('utf8').trim()
  if (text === '') return {diagnostics: []}
  const diagnostics = parseDiagnostics(text)
  if (diagnostics) return {diagnostics}
  if (
    /^(?:<!doctype|<html|<\?xml|<head|<body)/i.test(text) ||
    /\bhtml\b/i.test(response.headers['content-type'] ?? '')
  ) {
    return {diagnostics: [], note: wrongScheme(text) ?? 'a web page was sent instead of a registry error'}
  }

  if (!complete) return {diagnostics: [], note: 'the error text is too long or was cut off'}
  const note = wrongScheme(text) ?? plainText(text, 200)
  return note === '' ? {diagnostics: []} : {diagnostics: [], note}
}

function parseDiagnostics(text: string): readonly Diagnostic[] | undefined {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }

  if (!isObject(json) || !Array.isArray(json['errors'])) return undefined
  const diagnostics: Diagnostic[] = []
  for (const entry of (json['errors'] as unknown[]).slice(0, MAX_DIAGNOSTICS)) {
    if (!isObject(entry)) continue
    const {code, message} = entry
    const detail = isString(entry['detail']) ? entry['detail'] : ''
    diagnostics.push({
      code: isString(code) ? plainText(code, 60) : '',
      message: plainText(isString(message) && message !== '' ? message : detail, 300),
    })
  }

  return diagnostics
}

/** What servers of TLS say to plain http; `--plain-http` was one too many. */
function wrongScheme(text: string): string | undefined {
  return /http request to an https server|plain http request was sent to https port/i.test(text)
    ? WRONG_SCHEME
    : undefined
}

const WRONG_SCHEME = 'https is spoken there, not plain http'

function codeOf(status: number): ErrorCode {
  switch (status) {
    case 401: {
      return 'UNAUTHORIZED'
    }

    case 403: {
      return 'FORBIDDEN'
    }

    case 404: {
      return 'NOT_FOUND'
    }

    case 405: {
      return 'UNSUPPORTED'
    }

    case 429: {
      return 'RATE_LIMITED'
    }

    default: {
      return 'REGISTRY'
    }
  }
}

function messageFor({attempts, diagnostics, method, note, status}: ResponseErrorOptions, url: string): string {
  const said = diagnostics
    .map(({code, message}) => (code && message ? `${code}: ${message}` : code || message))
    .filter((line) => line !== '')
  const tries = attempts > 1 ? ` (${attempts} attempts)` : ''
  const reasons = said.length > 0 ? said.join('; ') : note
  return `${method} ${url}: ${status}${reasons ? ` ${reasons}` : ''}${tries}`
}

function suggestionsFor(options: ResponseErrorOptions): string[] {
  const {diagnostics, loginGap, note, now, retryAfterMs, status, url} = options
  const suggestions: string[] = []
  if (note === WRONG_SCHEME) suggestions.push(httpsAdvice(new URL(url).host))
  if (status === 401) suggestions.push(loginHint(loginGap))
  if (status === 403) suggestions.push(forbiddenHint(diagnostics, note))
  if (status === 405)
    suggestions.push('The registry does not offer this: look at its settings, or run "kloset-oci doctor".')
  if (retryAfterMs !== undefined && (status === 429 || status >= 500)) {
    suggestions.push(`Resume at ${new Date(now + retryAfterMs).toISOString()}: the registry asks to wait until then.`)
  } else if (status === 429) {
    suggestions.push('Wait some minutes and resume, with less --concurrency; logging in often raises the limit.')
  } else if (status >= 500) {
    suggestions.push('The registry itself failed: look at its log, then try again.')
  }

  return suggestions
}

function loginHint(gap: LoginGap | undefined): string {
  switch (gap) {
    case 'none-found': {
      return 'No login was sent, because none was found: log in with "kloset-oci login HOST", or set KLOSET_OCI_USERNAME and KLOSET_OCI_PASSWORD. "kloset-oci auth explain HOST" says where it was looked for.'
    }

    case 'unasked': {
      return 'No login was sent, because the answer did not ask for one (no basic or bearer in WWW-Authenticate): make sure that this is the registry, and not a proxy before it. "kloset-oci auth explain HOST" says which login there is; "kloset-oci login HOST", or KLOSET_OCI_USERNAME and KLOSET_OCI_PASSWORD, give one.'
    }

    default: {
      return 'Log in with "kloset-oci login HOST", or check the user and password given.'
    }
  }
}

/** Elastic Container Registry answers 403 and not 401 when its twelve hours are over. */
const EXPIRED = /token has expired|expired token|reauthenticate/i

function forbiddenHint(diagnostics: readonly Diagnostic[], note: string | undefined): string {
  const texts = [note ?? '', ...diagnostics.map(({message}) => message)]
  return texts.some((text) => EXPIRED.test(text))
    ? 'The login has expired: log in again.'
    : "Ask the registry's owner for the right to do this, or log in as another user."
}

/** Whether an error text says that the credentials were good once. */
export function saysExpired(text: string): boolean {
  return EXPIRED.test(text)
}
