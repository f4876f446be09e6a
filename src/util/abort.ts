import type {Readable} from 'node:stream'

import {setImmediate as nextTurn} from 'node:timers/promises'

import {InterruptedError} from '../errors.js'

/** The error of a call whose signal has aborted; the signal's own reason is its cause. */
export function interruption(signal: AbortSignal): InterruptedError {
  if (signal.reason instanceof InterruptedError) return signal.reason
  return new InterruptedError('interrupted', {cause: signal.reason})
}

/** @throws InterruptedError when the signal has aborted */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw interruption(signal)
}

/**
 * Lets the event loop have a turn, so that a loop over memory starves nobody.
 * @throws InterruptedError when the signal has aborted by then
 */
export async function yieldTurn(signal?: AbortSignal): Promise<void> {
  throwIfAborted(signal)
  await nextTurn()
  throwIfAborted(signal)
}

/** The same stream, destroyed with `InterruptedError` when the signal aborts before the stream is over. */
export function abortable<T extends Readable>(stream: T, signal: AbortSignal | undefined): T {
  if (!signal) return stream
  const onAbort = () => {
    stream.destroy(interruption(signal))
  }

  // Whoever reads gets the error, also who begins after it: nobody may have begun yet.
  stream.on('error', () => {})
  if (signal.aborted) onAbort()
  else {
    signal.addEventListener('abort', onAbort, {once: true})
    stream.once('close', () => signal.removeEventListener('abort', onAbort))
  }

  return stream
}

/**
 * Waits for what may have other waiters too: the signal ends this wait only, not what is waited for.
 * @throws InterruptedError when the signal aborts first
 */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(interruption(signal))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, {once: true})
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
