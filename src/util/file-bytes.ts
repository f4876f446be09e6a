import type {FileHandle} from 'node:fs/promises'

import {DrainableStream, type Sink} from './drain.js'

/** Large enough that a piece costs little beside its bytes, small enough for a processor's cache. */
const PIECE_BYTES = 512 * 1024

export interface FileBytesOptions {
  /** First byte behind what is wanted; without it the file's end. */
  readonly end?: number | undefined
  /** The open file, or what opens it when it is first read. It is closed at the end, unless it is `shared`. */
  readonly file: (() => Promise<FileHandle>) | FileHandle
  /** Others read this file too: it stays open. */
  readonly isShared?: boolean
  /** The error of a file that ends `position` bytes from its begin, before `end`. Without it the stream just ends. */
  readonly shortened?: (position: number) => Error
  readonly start?: number | undefined
}

/** The bytes of a file, in large pieces. While a sink is at work on one the next one is read. */
export class FileBytes extends DrainableStream {
  readonly #end: number
  #file: Promise<FileHandle> | undefined
  readonly #options: FileBytesOptions
  #position: number

  constructor(options: FileBytesOptions) {
    super({highWaterMark: PIECE_BYTES})
    this.#options = options
    this.#position = options.start ?? 0
    this.#end = options.end ?? Infinity
    if (typeof options.file !== 'function') this.#file = Promise.resolve(options.file)
  }

  get #pieceSize(): number {
    return Math.max(1, Math.min(PIECE_BYTES, this.#end - this.#position))
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const done = () => callback(error)
    if (!this.#file || this.#options.isShared) done()
    // How the closing went says nothing of what was read.
    else this.#file.then((handle) => handle.close()).then(done, done)
  }

  override _read(): void {
    this.#next(Buffer.allocUnsafeSlow(this.#pieceSize)).then(
      (piece) => this.push(piece.length > 0 ? piece : null),
      (error: Error) => this.destroy(error),
    )
  }

  protected override async giveAll(sink: Sink): Promise<void> {
    const size = this.#pieceSize
    let [full, free] = [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)]
    let piece = await this.#next(full)
    while (piece.length > 0 && !this.destroyed) {
      const reading = this.#next(free)
      // When the sink fails nobody asks any more how the reading went.
      reading.catch(() => {})
      await sink(piece)
      ;[full, free] = [free, full]
      piece = await reading
    }
  }

  /** @returns the next bytes, in `buffer`; none at the end */
  async #next(buffer: Buffer): Promise<Buffer> {
    const length = Math.min(buffer.length, this.#end - this.#position)
    if (length <= 0) return buffer.subarray(0, 0)
    const {file, shortened} = this.#options
    if (typeof file === 'function') this.#file ??= file()
    const handle = await this.#file!
    const {bytesRead} = await handle.read(buffer, 0, length, this.#position)
    if (bytesRead === 0 && shortened && this.#end !== Infinity) throw shortened(this.#position)
    this.#position += bytesRead
    return buffer.subarray(0, bytesRead)
  }
}
