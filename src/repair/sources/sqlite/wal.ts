import type {FileHandle} from 'node:fs/promises'

const HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
const MAGIC_LITTLE = 0x37_7f_06_82
const MAGIC_BIG = 0x37_7f_06_83

/** Pages that the write-ahead log has in a newer version than the database, by number: where each begins. */
export interface WalPages {
  readonly offsets: ReadonlyMap<number, number>
  /** Pages of the database after the last commit; 0 when there was none. */
  readonly pageCount: number
}

/**
 * Reads a write-ahead log as far as its checksums go: what was not committed, or belongs to an earlier log, is left out.
 * @see https://www.sqlite.org/fileformat2.html#walformat
 */
export async function readWal(file: FileHandle, pageBytes: number): Promise<WalPages> {
  const committed = new Map<number, number>()
  let pageCount = 0
  const header = await read(file, 0, HEADER_BYTES)
  const magic = header.length === HEADER_BYTES ? header.readUInt32BE(0) : 0
  if ((magic !== MAGIC_LITTLE && magic !== MAGIC_BIG) || header.readUInt32BE(8) !== pageBytes) {
    return {offsets: committed, pageCount}
  }

  const sum = new Checksum(magic === MAGIC_BIG)
  sum.update(header.subarray(0, 24))
  if (!sum.is(header, 24)) return {offsets: committed, pageCount}
  const pending = new Map<number, number>()
  for (let at = HEADER_BYTES; ; at += FRAME_HEADER_BYTES + pageBytes) {
    const frame = await read(file, at, FRAME_HEADER_BYTES + pageBytes)
    if (frame.length < FRAME_HEADER_BYTES + pageBytes) break
    if (!frame.subarray(8, 16).equals(header.subarray(16, 24))) break
    sum.update(frame.subarray(0, 8))
    sum.update(frame.subarray(FRAME_HEADER_BYTES))
    if (!sum.is(frame, 16)) break
    pending.set(frame.readUInt32BE(0), at + FRAME_HEADER_BYTES)
    const size = frame.readUInt32BE(4)
    if (size === 0) continue
    for (const [page, offset] of pending) committed.set(page, offset)
    pending.clear()
    pageCount = size
  }

  return {offsets: committed, pageCount}
}

/** The log's own checksum, over pairs of words. */
class Checksum {
  readonly #bigEndian: boolean
  #s0 = 0
  #s1 = 0

  constructor(bigEndian: boolean) {
    this.#bigEndian = bigEndian
  }

  is(bytes: Buffer, at: number): boolean {
    return bytes.readUInt32BE(at) === this.#s0 && bytes.readUInt32BE(at + 4) === this.#s1
  }

  update(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += 8) {
      const [x0, x1] = this.#bigEndian
        ? [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
        : [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)]
      this.#s0 = (this.#s0 + x0 + this.#s1) % 2 ** 32
      this.#s1 = (this.#s1 + x1 + this.#s0) % 2 ** 32
    }
  }
}

async function read(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  const {bytesRead} = await file.read(buffer, 0, length, position)
  return buffer.subarray(0, bytesRead)
}
