/** What a Range header makes of a content: all of it, a part, or nothing that there is. */
export type RangeRequest =
  | {readonly end: number; readonly kind: 'part'; readonly start: number}
  | {readonly kind: 'unsatisfiable'}
  | {readonly kind: 'whole'}

const ONE_RANGE = /^bytes=\s*(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))\s*$/i

/**
 * Reads one byte range; `end` is the first byte behind it. Several ranges and other units are answered with the whole
 * content, which RFC 9110 allows; a range that ends before it begins is refused, as the conformance suite wants it.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.2
 */
export function parseRange(header: string | undefined, size: number): RangeRequest {
  const match = header === undefined ? null : ONE_RANGE.exec(header)
  if (!match) return {kind: 'whole'}
  const [, first, last, suffix] = match
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), size)
    return length === 0 ? {kind: 'unsatisfiable'} : {end: size, kind: 'part', start: size - length}
  }

  const start = Number(first)
  const end = last ? Math.min(Number(last) + 1, size) : size
  return start >= size || end <= start ? {kind: 'unsatisfiable'} : {end, kind: 'part', start}
}

/** A chunk's place: both ends are inclusive. */
export interface ChunkRange {
  readonly first: number
  readonly last: number
}

const CHUNK = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/

/** Reads the Content-Range of a chunk: `0-999`; some clients write `bytes 0-999/*`. */
export function parseChunkRange(header: string): ChunkRange | undefined {
  const match = CHUNK.exec(header.trim())
  if (!match) return undefined
  const [first, last] = [Number(match[1]), Number(match[2])]
  return last < first ? undefined : {first, last}
}
