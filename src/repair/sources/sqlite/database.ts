import {type FileHandle, open} from 'node:fs/promises'

import {StoreFormatError} from '../../../errors.js'
import {errnoOf, fileOperation} from '../../../util/fs-error.js'
import {decodeRecord, readVarint, type SqlValue} from './record.js'
import {readWal, type WalPages} from './wal.js'

const MAGIC = 'SQLite format 3\0'
const LEAF = 0x0d
const INTERIOR = 0x05

/** Deeper than a tree of 2^48 rows. */
const MAX_DEPTH = 24
/** Rows of a state cache have some hundred bytes. */
const MAX_ROW_BYTES = 1024 * 1024

/**
 * Reads the tables of an SQLite database, with what its write-ahead log adds, and nothing else: no SQL, no index, no
 * writing, no lock. Whoever writes to it meanwhile may make a row appear or not.
 * @see https://www.sqlite.org/fileformat2.html
 */
export class SqliteFile {
  readonly #file: FileHandle
  readonly #pageBytes: number
  readonly #usable: number
  readonly #wal: FileHandle | undefined
  readonly #walPages: WalPages

  private constructor(
    file: FileHandle,
    wal: FileHandle | undefined,
    {
      pageBytes,
      reserved,
      walPages,
    }: {readonly pageBytes: number; readonly reserved: number; readonly walPages: WalPages},
  ) {
    this.#file = file
    this.#pageBytes = pageBytes
    this.#usable = pageBytes - reserved
    this.#wal = wal
    this.#walPages = walPages
  }

  /** @throws StoreFormatError when it is no database, LocalIoError when it cannot be read */
  static async open(path: string): Promise<SqliteFile> {
    return fileOperation('read', path, async () => {
      const file = await open(path, 'r')
      let wal: FileHandle | undefined
      try {
        const header = Buffer.alloc(100)
        await file.read(header, 0, 100, 0)
        const stated = header.readUInt16BE(16)
        const pageBytes = stated === 1 ? 65_536 : stated
        const reserved = header[20]!
        const isPageSize = pageBytes >= 512 && Number.isInteger(Math.log2(pageBytes)) && pageBytes - reserved >= 480
        if (header.toString('latin1', 0, 16) !== MAGIC || !isPageSize || header.readUInt32BE(56) > 1) {
          throw new StoreFormatError(`${path}: not an SQLite database in UTF-8`)
        }

        wal = await open(`${path}-wal`, 'r').catch((error: unknown) => {
          if (errnoOf(error) !== 'ENOENT') throw error
          return undefined // eslint-disable-line unicorn/no-useless-undefined -- the type asks for it
        })
        const walPages = wal ? await readWal(wal, pageBytes) : {offsets: new Map<number, number>(), pageCount: 0}
        return new SqliteFile(file, wal, {pageBytes, reserved, walPages})
      } catch (error) {
        await file.close()
        await wal?.close()
        throw error
      }
    })
  }

  async close(): Promise<void> {
    await this.#file.close()
    await this.#wal?.close()
  }

  /**
   * Rows of a table, in the order of their numbers; none when there is no such table.
   * @throws StoreFormatError when the database is damaged
   */
  async *rows(table: string): AsyncGenerator<SqlValue[]> {
    for await (const [type, name, , root] of this.#walk(1, new Set())) {
      if (type === 'table' && name === table && typeof root === 'bigint') {
        yield* this.#walk(Number(root), new Set())
        return
      }
    }
  }

  async #overflow(first: number, length: number): Promise<Buffer> {
    const parts: Buffer[] = []
    let left = length
    for (let page = first; left > 0;) {
      const bytes = await this.#page(page)
      const part = bytes.subarray(4, 4 + Math.min(left, this.#usable - 4))
      if (part.length === 0) throw damaged()
      parts.push(Buffer.from(part))
      left -= part.length
      page = bytes.readUInt32BE(0)
    }

    return Buffer.concat(parts)
  }

  async #page(number: number): Promise<Buffer> {
    if (!(number >= 1 && number < 2 ** 32)) throw damaged()
    const bytes = Buffer.alloc(this.#pageBytes)
    const offset = this.#walPages.offsets.get(number)
    const {bytesRead} =
      offset === undefined
        ? await this.#file.read(bytes, 0, this.#pageBytes, (number - 1) * this.#pageBytes)
        : await this.#wal!.read(bytes, 0, this.#pageBytes, offset)
    if (bytesRead < this.#pageBytes) throw damaged()
    return bytes
  }

  async #payload(page: Buffer, at: number): Promise<Buffer> {
    const size = readVarint(page, at)
    const {end} = readVarint(page, size.end)
    if (size.value > MAX_ROW_BYTES) throw damaged()
    const most = this.#usable - 35
    if (size.value <= most) {
      if (end + size.value > page.length) throw damaged()
      return page.subarray(end, end + size.value)
    }

    const least = Math.floor(((this.#usable - 12) * 32) / 255) - 23
    const fitting = least + ((size.value - least) % (this.#usable - 4))
    const local = fitting <= most ? fitting : least
    if (end + local + 4 > page.length) throw damaged()
    const rest = await this.#overflow(page.readUInt32BE(end + local), size.value - local)
    return Buffer.concat([page.subarray(end, end + local), rest])
  }

  /** @param seen pages of the same tree that were read: each stands in it once */
  async *#walk(number: number, seen: Set<number>, depth = 0): AsyncGenerator<SqlValue[]> {
    if (depth > MAX_DEPTH || seen.has(number)) throw damaged()
    seen.add(number)
    const page = await this.#page(number)
    const start = number === 1 ? 100 : 0
    const kind = page[start]
    const isInterior = kind === INTERIOR
    if (!isInterior && kind !== LEAF) throw damaged()
    const cells = page.readUInt16BE(start + 3)
    const pointers = start + (isInterior ? 12 : 8)
    if (pointers + cells * 2 > page.length) throw damaged()
    for (let cell = 0; cell < cells; cell++) {
      const at = page.readUInt16BE(pointers + cell * 2)
      if (at + 4 > page.length) throw damaged()
      if (isInterior) yield* this.#walk(page.readUInt32BE(at), seen, depth + 1)
      else yield decodeRecord(await this.#payload(page, at))
    }

    if (isInterior) yield* this.#walk(page.readUInt32BE(start + 8), seen, depth + 1)
  }
}

function damaged(): StoreFormatError {
  return new StoreFormatError('state cache: the database is damaged')
}
