import type {Clock} from '../../util/clock.js'
import type {CredentialSource} from '../auth/credential.js'

/** Which certificates are believed, and which one is shown. Files are PEM and read once, when the client is made. */
export interface TlsOptions {
  /** Authorities trusted besides the system's. */
  readonly caFile?: string | undefined
  readonly certFile?: string | undefined
  /** Takes any certificate of any host this client speaks to. Only for trying things out. */
  readonly insecureSkipTlsVerify?: boolean | undefined
  readonly keyFile?: string | undefined
}

/** Limits in milliseconds. None of them bounds a whole transfer: only the time in which nothing moves. */
export interface Timeouts {
  /** Name, TCP, proxy tunnel and TLS. Default 30 s. */
  readonly connect?: number | undefined
  /** No byte sent or received in the middle of a body. Default 60 s. */
  readonly idle?: number | undefined
  /** From the last byte sent to the answer's header. Default 300 s: old registries take minutes to delete. */
  readonly response?: number | undefined
}

export interface RetryOptions {
  /** Tries in all, the first included. Default 5; 1 means never again. */
  readonly attempts?: number | undefined
  /**
   * Tries in all once the registry has answered something: what has worked before is worth waiting for, a restart for
   * example. Default: as `attempts`.
   */
  readonly attemptsOnceAnswered?: number | undefined
  /** First pause in milliseconds, doubled each time, then drawn between zero and that. Default 200. */
  readonly baseDelay?: number | undefined
  /** Longest pause of our own, in milliseconds. Default 10 s. */
  readonly maxDelay?: number | undefined
  /** Longest `Retry-After` that is waited for, in milliseconds; beyond it the answer is final. Default 60 s. */
  readonly maxRetryAfter?: number | undefined
}

/** One request as it went over the wire, once its answer was read or given up. Redirect hops and retries count each. */
export interface RequestEvent {
  readonly attempt: number
  /** Bytes of body received. */
  readonly bytes: number
  /** Node's code or our reason when no whole answer came. */
  readonly error?: string
  readonly method: string
  readonly ms: number
  /** Bytes of body sent. */
  readonly sent: number
  readonly status?: number
  /** Redacted. */
  readonly url: string
}

export type RequestObserver = (event: RequestEvent) => void

export interface HttpClientOptions {
  readonly clock?: Clock | undefined
  /** Connections per host, and so requests at once. Default 16. */
  readonly concurrency?: number | undefined
  /** Where logins come from when the registry asks for one. Default: `standardCredentials()`. */
  readonly credentials?: CredentialSource | undefined
  readonly onRequest?: RequestObserver | undefined
  /** Scheme, host and port of the registry: the only place that ever gets its credentials. See `originOf`. */
  readonly origin: string | URL
  /** Between 0 and 1; for tests. */
  readonly random?: (() => number) | undefined
  /** The registry as the operator wrote it (`docker.io`), to look logins up; default: the host of `origin`. */
  readonly registry?: string | undefined
  /** Repository path, for logins that are kept per repository. */
  readonly repository?: string | undefined
  readonly retry?: RetryOptions | undefined
  readonly timeouts?: Timeouts | undefined
  readonly tls?: TlsOptions | undefined
  readonly userAgent?: string | undefined
}
