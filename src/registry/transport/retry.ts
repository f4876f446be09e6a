import type {HttpClient, HttpRequest} from './http.js'
import type {RetryOptions} from './options.js'

import {messageOf} from '../../errors.js'
import {throwIfAborted} from '../../util/abort.js'
import {type Clock, systemClock} from '../../util/clock.js'
import {RegistryResponseError} from '../errors.js'
import {discard} from './body.js'
import {TransportError} from './failures.js'
import {parseRetryAfter} from './retry-after.js'

/** How a try ended: in an answer, or in none. */
export type Outcome = {readonly error: unknown} | {readonly retryAfter?: string | undefined; readonly status: number}

const TEMPORARY: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

/** A limit of rate takes longer to pass than a hiccup, when the registry does not say how long. */
const RATE_LIMIT_FACTOR = 5

/** Whether the same request may well be answered otherwise a moment later. */
export function isTemporaryStatus(status: number): boolean {
  return TEMPORARY.has(status)
}

/** When to try again, and how long to wait before. Also for units larger than a request: see `retrying`. */
export class RetryPolicy {
  readonly clock: Clock
  #answered = false
  readonly #attempts: number
  readonly #attemptsOnceAnswered: number
  readonly #baseDelay: number
  readonly #maxDelay: number
  readonly #maxRetryAfter: number
  readonly #random: () => number

  constructor(
    options: RetryOptions = {},
    sources: {readonly clock?: Clock | undefined; readonly random?: (() => number) | undefined} = {},
  ) {
    this.clock = sources.clock ?? systemClock
    this.#attempts = Math.max(1, options.attempts ?? 5)
    this.#attemptsOnceAnswered = Math.max(this.#attempts, options.attemptsOnceAnswered ?? 1)
    this.#baseDelay = options.baseDelay ?? 200
    this.#maxDelay = options.maxDelay ?? 10_000
    this.#maxRetryAfter = options.maxRetryAfter ?? 60_000
    this.#random = sources.random ?? Math.random
  }

  /** Tries in all, the first included. */
  get attempts(): number {
    return this.#answered ? this.#attemptsOnceAnswered : this.#attempts
  }

  /** The registry is there: it said something other than that it cannot answer. */
  answered(status: number): void {
    this.#answered ||= !isTemporaryStatus(status)
  }

  /**
   * Milliseconds to wait after try number `attempt` (from 1) ended so, or undefined when that was final.
   * The pause is drawn evenly between zero and a limit that doubles ("full jitter"), and is never shorter than the
   * `Retry-After` of the answer. A `Retry-After` beyond the limit makes the answer final: waiting is the caller's
   * decision then.
   */
  delayFor(attempt: number, outcome: Outcome): number | undefined {
    if (attempt >= this.attempts || ('status' in outcome && !isTemporaryStatus(outcome.status))) return undefined
    const base = 'status' in outcome && outcome.status === 429 ? this.#baseDelay * RATE_LIMIT_FACTOR : this.#baseDelay
    const jitter = this.#random() * Math.min(this.#maxDelay, base * 2 ** (attempt - 1))
    if ('error' in outcome) return isRetryable(outcome.error) ? jitter : undefined
    const asked = parseRetryAfter(outcome.retryAfter, this.clock.now())
    if (asked === undefined) return jitter
    return asked > this.#maxRetryAfter ? undefined : asked + jitter
  }

  /** @throws InterruptedError when `signal` ends the pause */
  async pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    try {
      await this.clock.sleep(milliseconds, signal)
    } catch (error) {
      throwIfAborted(signal)
      throw new Error(`the clock failed: ${messageOf(error)}`, {cause: error})
    }

    throwIfAborted(signal)
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof TransportError && error.retryable
}

/**
 * Sends a request again while the policy says so, unless it is marked `never` (the default for all but GET and HEAD).
 * The last answer is returned whatever its status, with the number of tries.
 */
export function withRetry(inner: HttpClient, policy: RetryPolicy): HttpClient {
  return {
    close: () => inner.close(),
    async send(request) {
      for (let attempt = 1; ; attempt++) {
        const numbered = {...request, attempt: (request.attempt ?? 1) + attempt - 1}
        let delay: number | undefined
        try {
          const response = await inner.send(numbered)
          policy.answered(response.status)
          delay = delayAfter(policy, attempt, {
            outcome: {retryAfter: response.headers['retry-after'], status: response.status},
            request,
          })
          if (delay === undefined) return {...response, attempts: numbered.attempt}
          await discard(response.body)
        } catch (error) {
          delay = delayAfter(policy, attempt, {outcome: {error}, request})
          if (delay === undefined) {
            throw error instanceof TransportError ? error.withAttempts(numbered.attempt) : error
          }
        }

        await policy.pause(delay, request.signal)
      }
    },
  }
}

function delayAfter(
  policy: RetryPolicy,
  attempt: number,
  {outcome, request}: {readonly outcome: Outcome; readonly request: HttpRequest},
): number | undefined {
  const safe = (request.retry ?? (request.method === 'GET' || request.method === 'HEAD' ? 'safe' : 'never')) === 'safe'
  return safe && !request.signal?.aborted ? policy.delayFor(attempt, outcome) : undefined
}

/**
 * Runs a unit larger than one request (an upload from its POST on) again while the policy says so. `operation` gets
 * the number of the try, from 1; it throws what its requests threw.
 */
export async function retrying<T>(
  operation: (attempt: number) => Promise<T>,
  policy: RetryPolicy,
  signal?: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await operation(attempt)
    } catch (error) {
      const delay = signal?.aborted ? undefined : policy.delayFor(attempt, outcomeOf(error))
      if (delay === undefined) throw error
      await policy.pause(delay, signal)
    }
  }
}

function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof RegistryResponseError)) return {error}
  return {retryAfter: error.retryAfter === undefined ? undefined : String(error.retryAfter), status: error.status}
}
