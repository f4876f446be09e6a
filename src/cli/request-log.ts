import type {RequestEvent} from '../registry/transport/options.js'

import {paintStderr} from './colors.js'

/** One line per request on standard error: `GET 200 12ms 4.0 KiB http://host/v2/`. Addresses come redacted. */
export function logRequest(event: RequestEvent): void {
  const {attempt, bytes, error, method, ms, sent, status, url} = event
  const outcome = status === undefined ? paintStderr.red(error ?? 'failed') : paintStatus(status)
  const parts = [method.padEnd(6), outcome, `${Math.round(ms)}ms`.padStart(7), `sent=${sent} received=${bytes}`, url]
  if (attempt > 1) parts.push(`attempt=${attempt}`)
  if (status !== undefined && error !== undefined) parts.push(paintStderr.red(error))
  process.stderr.write(`${parts.join(' ')}\n`)
}

function paintStatus(status: number): string {
  const text = String(status)
  if (status >= 500) return paintStderr.red(text)
  return status >= 400 ? paintStderr.yellow(text) : paintStderr.green(text)
}
