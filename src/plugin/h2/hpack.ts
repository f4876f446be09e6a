import {decodeHuffman} from './huffman.js'
import {ConnectionError, ErrorCode} from './protocol.js'

/**
 * Header compression, as far as a server that answers with constant headers needs it: a full decoder with dynamic table
 * and Huffman strings, and an encoder of literals that uses no table at all.
 * @see https://www.rfc-editor.org/rfc/rfc7541
 */

const STATIC_TABLE: readonly (readonly [string, string])[] = parseStaticTable(`
:authority
:method GET|POST
:path /|/index.html
:scheme http|https
:status 200|204|206|304|400|404|500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate
`)

function parseStaticTable(text: string): [string, string][] {
  return text
    .trim()
    .split('\n')
    .flatMap((line) => {
      const space = line.indexOf(' ')
      if (space === -1) return [[line, '']] as [string, string][]
      const name = line.slice(0, space)
      return line
        .slice(space + 1)
        .split('|')
        .map((value): [string, string] => [name, value])
    })
}

/** Table size before any update, and the bound that we announce. */
const TABLE_BYTES = 4096

/** What the table's size counts for an entry beside its two strings. */
const ENTRY_OVERHEAD = 32

export type HeaderSink = (name: string, value: string) => void

/** Decodes the header blocks of one connection, in order. Any error ends the connection: the table is then lost. */
export class HpackDecoder {
  /** Grows whenever the table changes: a block means the same again as long as this stays. */
  revision = 0
  /** Newest entry last. */
  #entries: [string, string][] = []
  #limit = TABLE_BYTES
  #position = 0
  #size = 0

  /** @throws ConnectionError with COMPRESSION_ERROR on anything but a sound block */
  decode(block: Buffer, sink: HeaderSink): void {
    this.#position = 0
    let updatable = true
    while (this.#position < block.length) {
      const first = block[this.#position]!
      if ((first & 0xe0) === 0x20) {
        if (!updatable) throw corrupt('a table size update after a field')
        this.#resize(this.#integer(block, 5))
        continue
      }

      updatable = false
      if (first >= 0x80) {
        const [name, value] = this.#entry(this.#integer(block, 7))
        sink(name, value)
      } else {
        const indexing = first >= 0x40
        const index = this.#integer(block, indexing ? 6 : 4)
        const name = index === 0 ? this.#string(block) : this.#entry(index)[0]
        const value = this.#string(block)
        if (indexing) this.#insert(name, value)
        sink(name, value)
      }
    }
  }

  #entry(index: number): readonly [string, string] {
    const entry =
      index <= STATIC_TABLE.length
        ? STATIC_TABLE[index - 1]
        : this.#entries[this.#entries.length - (index - STATIC_TABLE.length)]
    if (!entry) throw corrupt(`no table entry ${index}`)
    return entry
  }

  #evict(limit: number): void {
    let gone = 0
    while (this.#size > limit) {
      const [name, value] = this.#entries[gone++]!
      this.#size -= name.length + value.length + ENTRY_OVERHEAD
    }

    if (gone > 0) this.#entries.splice(0, gone)
  }

  #insert(name: string, value: string): void {
    const size = name.length + value.length + ENTRY_OVERHEAD
    this.revision++
    this.#evict(Math.max(0, this.#limit - size))
    if (size > this.#limit) return
    this.#entries.push([name, value])
    this.#size += size
  }

  #integer(block: Buffer, prefixBits: number): number {
    const mask = (1 << prefixBits) - 1
    let value = block[this.#position++]! & mask
    if (value < mask) return value
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = block[this.#position++]
      if (byte === undefined) throw corrupt('a cut integer')
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }

    throw corrupt('an integer that is too large')
  }

  #resize(limit: number): void {
    if (limit > TABLE_BYTES) throw corrupt(`a table of ${limit} bytes where ${TABLE_BYTES} were offered`)
    this.revision++
    this.#limit = limit
    this.#evict(limit)
  }

  #string(block: Buffer): string {
    const huffman = (block[this.#position] ?? 0) >= 0x80
    if (this.#position >= block.length) throw corrupt('a cut field')
    const length = this.#integer(block, 7)
    const start = this.#position
    const end = start + length
    if (end > block.length) throw corrupt('a cut string')
    this.#position = end
    if (!huffman) return block.toString('latin1', start, end)
    const text = decodeHuffman(block, start, end)
    if (text === undefined) throw corrupt('a wrong Huffman string')
    return text
  }
}

/**
 * A header block that any decoder takes in any state: `:status` 200 when asked for, then literals that enter no table.
 * Values are latin1.
 */
export function encodeHeaders(status: 200 | 'none', headers: readonly (readonly [string, string])[]): Buffer {
  const parts: Buffer[] = []
  if (status === 200) parts.push(Buffer.from([0x88]))
  for (const [name, value] of headers) parts.push(Buffer.from([0x00]), stringLiteral(name), stringLiteral(value))
  return Buffer.concat(parts)
}

function stringLiteral(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  const prefix: number[] = []
  let rest = bytes.length
  if (rest < 0x7f) prefix.push(rest)
  else {
    prefix.push(0x7f)
    rest -= 0x7f
    for (; rest >= 0x80; rest >>>= 7) prefix.push((rest & 0x7f) | 0x80)
    prefix.push(rest)
  }

  return Buffer.concat([Buffer.from(prefix), bytes])
}

function corrupt(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.COMPRESSION_ERROR, `header block with ${what}`)
}
