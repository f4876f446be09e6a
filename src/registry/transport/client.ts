import type {HttpClient} from './http.js'
import type {HttpClientOptions} from './options.js'

import {systemClock} from '../../util/clock.js'
import {withAuth} from '../auth/auth-client.js'
import {standardCredentials} from '../auth/credentials.js'
import {AxiosClient} from './axios-client.js'
import {withRedirects} from './redirect.js'
import {RetryPolicy, withRetry} from './retry.js'
import {tlsConnectOptions} from './tls.js'

export {discard, readBounded} from './body.js'
export type {HttpClient, HttpHeaders, HttpMethod, HttpRequest, HttpResponse} from './http.js'
export type {HttpClientOptions, RequestEvent, RequestObserver, RetryOptions, Timeouts, TlsOptions} from './options.js'
export {isTemporaryStatus, retrying, RetryPolicy} from './retry.js'

/**
 * The client of one registry, from the wire up: connections, then redirects, then retries (each try begins at the
 * first URL: what a redirect led to may have expired), then credentials.
 * @param policy shared with whoever restarts larger units
 * @throws InvalidArgumentError when a certificate file is not usable
 */
export function createHttpClient(options: HttpClientOptions, policy = retryPolicyOf(options)): HttpClient {
  const wire = new AxiosClient({
    concurrency: options.concurrency,
    onRequest: options.onRequest,
    timeouts: options.timeouts,
    tls: tlsConnectOptions(options.tls),
    userAgent: options.userAgent,
  })
  const origin = new URL(options.origin)
  return withAuth(withRetry(withRedirects(wire), policy), {
    clock: options.clock ?? systemClock,
    credentials: options.credentials ?? standardCredentials(),
    origin,
    target: {registry: options.registry ?? origin.host, repository: options.repository},
  })
}

/** The policy for requests with these options, and for units that the caller restarts itself. */
export function retryPolicyOf(options: Pick<HttpClientOptions, 'clock' | 'random' | 'retry'>): RetryPolicy {
  return new RetryPolicy(options.retry, {clock: options.clock, random: options.random})
}
