import {interruption} from '../../util/abort.js'

/**
 * Waits for what others wait for too: one waiter's signal ends its own wait only.
 * @throws InterruptedError
 */
export async function waitFor<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(interruption(signal))
    const over = () => signal.removeEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, {once: true})
    promise.then(resolve, reject).finally(over)
  })
}
