/** Guards for JSON that came over a wire: everything is `unknown` until one of these has looked at it. */

export type JsonObject = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isString(value: unknown): value is string {
  return typeof value === 'string'
}

export function isStringArray(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => isString(item))
}

/** True for a length or count: a safe integer, zero or more. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

export function isStringRecord(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((item) => isString(item))
}

const [QUOTE, BACKSLASH] = [0x22, 0x5c]
const [OPENING_LIST, OPENING_OBJECT] = [0x5b, 0x7b]
/** What `[`, `]`, `{` and `}` do to the depth. */
const DEPTHS: ReadonlyMap<number | undefined, number> = new Map([
  [0x5d, -1],
  [0x7d, -1],
  [OPENING_LIST, 1],
  [OPENING_OBJECT, 1],
])

/** Whether lists and objects of a JSON text lie in one another deeper than `limit`: what walks over such a value falls. */
export function isNestedDeeper(json: Uint8Array, limit: number): boolean {
  // Most have fewer of them than could lie in one another: to count those is a few calls, not one for each byte.
  if (hasAtMost(limit, json, OPENING_LIST, OPENING_OBJECT)) return false
  let depth = 0
  let isText = false
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]
    if (isText) {
      if (byte === BACKSLASH) at++
      else if (byte === QUOTE) isText = false
    } else if (byte === QUOTE) isText = true
    else depth += DEPTHS.get(byte) ?? 0
    if (depth > limit) return true
  }

  return false
}

function hasAtMost(limit: number, bytes: Uint8Array, ...values: readonly number[]): boolean {
  let count = 0
  for (const value of values) {
    for (let at = bytes.indexOf(value); at >= 0; at = bytes.indexOf(value, at + 1)) {
      count += 1
      if (count > limit) return false
    }
  }

  return true
}
