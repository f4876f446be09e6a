/** Longer than anybody waits, and short enough to be added to any time. */
const FOREVER_MS = 10 * 365 * 24 * 3600 * 1000

/**
 * Milliseconds that a `Retry-After` header asks to wait, from `now`; undefined when it is absent or malformed.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
 */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  const text = value?.trim()
  if (!text) return undefined
  if (/^\d+$/.test(text)) return Math.min(FOREVER_MS, Number(text) * 1000)
  // A date always has letters in it: this keeps Date.parse from reading numbers as years.
  const date = /^[a-z]{3,}/i.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.min(FOREVER_MS, Math.max(0, date - now))
}
