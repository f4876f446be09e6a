import {ProtocolError} from '../../errors.js'
import {isObject, type JsonObject} from '../../util/json.js'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** No entry, and not the rest without the entries either, may be larger: each is one text in memory. */
const MAX_PIECE_BYTES = 16 * 1024 * 1024

const STRUCTURE = new Set([CLOSE_LIST, CLOSE_OBJECT, COMMA, OPEN_LIST, OPEN_OBJECT, QUOTE])

/**
 * Splits an image index into the entries of its `manifests` list and the rest, chunk by chunk, so that an index of
 * 100,000 entries is never in memory as one text or one tree. It finds boundaries only: JSON.parse judges each piece.
 */
export class IndexScanner {
  #depth = 0
  #escaped = false
  #inList = false
  #inString = false
  #items = 0
  /** Bytes since the last boundary. */
  #kept: Buffer[] = []
  #keptBytes = 0
  /** Text of the last string at depth 1, while nothing but a colon followed it. */
  #key: number[] | undefined
  #lists = 0
  readonly #onItem: (json: string) => void
  #rest = ''
  readonly #what: string

  constructor(what: string, onItem: (json: string) => void) {
    this.#what = what
    this.#onItem = onItem
  }

  /** Ends the scan. @returns the index without its list @throws ProtocolError */
  end(): JsonObject {
    this.#rest += this.#take()
    let value: unknown
    try {
      value = JSON.parse(this.#rest)
    } catch (error) {
      throw new ProtocolError(`${this.#what}: not JSON`, {cause: error})
    }

    if (!isObject(value)) throw new ProtocolError(`${this.#what}: not a JSON object`)
    const {manifests, ...rest} = value
    // Go writes an empty list as null.
    const isEmpty = manifests === null || (Array.isArray(manifests) && manifests.length === 0)
    if (!isEmpty || this.#lists > 1) throw new ProtocolError(`${this.#what}: no list of manifests`)
    return rest
  }

  push(chunk: Buffer): void {
    let start = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!
      if (this.#inString) this.#string(byte)
      else if (STRUCTURE.has(byte)) start = this.#structure(chunk, at, start)
    }

    if (start === chunk.length) return
    this.#kept.push(Buffer.from(chunk.subarray(start)))
    this.#keptBytes += chunk.length - start
    this.#checkSize()
  }

  #checkSize(): void {
    if (this.#keptBytes <= MAX_PIECE_BYTES && this.#rest.length <= MAX_PIECE_BYTES) return
    throw new ProtocolError(`${this.#what}: one part of it is larger than ${MAX_PIECE_BYTES} bytes`)
  }

  /** @returns where the piece that follows begins */
  #close(chunk: Buffer, at: number, start: number): number {
    const isEnd = this.#inList && this.#depth === 2
    this.#depth--
    if (!isEnd) return start
    this.#item(chunk.subarray(start, at), true)
    this.#inList = false
    return at
  }

  #item(tail: Buffer, isLast: boolean): void {
    const json = this.#take(tail)
    // An empty list has one empty piece; any other empty piece is a comma too many.
    if (isLast && this.#items === 0 && json.trim() === '') return
    this.#items++
    this.#onItem(json)
  }

  /** @returns where the piece that follows begins */
  #open(chunk: Buffer, at: number, start: number): number {
    const key = this.#key && Buffer.from(this.#key).toString('latin1')
    this.#key = undefined
    this.#depth++
    if (chunk[at] !== OPEN_LIST || this.#depth !== 2 || key !== 'manifests"') return start
    this.#rest += this.#take(chunk.subarray(start, at + 1))
    this.#inList = true
    this.#items = 0
    this.#lists++
    return at + 1
  }

  #string(byte: number): void {
    if (this.#escaped) this.#escaped = false
    else if (byte === BACKSLASH) this.#escaped = true
    else if (byte === QUOTE) this.#inString = false
    if (this.#depth === 1) this.#key?.push(byte)
  }

  /** @returns where the piece that follows begins */
  #structure(chunk: Buffer, at: number, start: number): number {
    const byte = chunk[at]
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) return this.#open(chunk, at, start)
    if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) return this.#close(chunk, at, start)
    if (byte === QUOTE) {
      this.#inString = true
      if (this.#depth === 1) this.#key = []
      return start
    }

    this.#key = undefined
    if (!this.#inList || this.#depth !== 2) return start
    this.#item(chunk.subarray(start, at), false)
    return at + 1
  }

  #take(tail: Buffer = Buffer.alloc(0)): string {
    const bytes = this.#kept.length === 0 ? tail : Buffer.concat([...this.#kept, tail])
    this.#kept = []
    this.#keptBytes = 0
    return bytes.toString('utf8')
  }
}
