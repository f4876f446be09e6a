import {type FileHandle, open} from 'node:fs/promises'

import type {LedgerFile} from './ledger.js'

import {LocalIoError} from '../../errors.js'
import {fileOperation} from '../../util/fs-error.js'

/** A record has some three hundred bytes. */
const MAX_LINE_BYTES = 16 * 1024

const READ_BYTES = 256 * 1024
const NEWLINE = 0x0a

/**
 * A ledger in a file, opened to append: several writers do not disturb each other. Every write begins with a new line, so
 * that one that was cut short (by a full disk, by a crash) spoils no other.
 */
export class AppendedFile implements LedgerFile {
  readonly name: string
  readonly #handle: FileHandle

  private constructor(path: string, handle: FileHandle) {
    this.#handle = handle
    this.name = path
  }

  /** @param options `create` makes the file when it is not there @throws LocalIoError */
  static async open(path: string, {create}: {readonly create: boolean}): Promise<AppendedFile> {
    const handle = await fileOperation('open', path, async () => open(path, create ? 'a+' : 'r', 0o644))
    return new AppendedFile(path, handle)
  }

  async append(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return
    const bytes = Buffer.from(`\n${lines.join('\n')}\n`)
    await fileOperation('write', this.name, async () => {
      const {bytesWritten} = await this.#handle.write(bytes)
      if (bytesWritten !== bytes.length) {
        throw new LocalIoError(`cannot write ${this.name}: only ${bytesWritten} of ${bytes.length} bytes went in`, {
          facts: {path: this.name},
          suggestions: ['Free space on that file system, then run it again: what was written before counts.'],
        })
      }

      await this.#handle.datasync()
    })
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  async *lines(): AsyncGenerator<string> {
    const chunk = Buffer.alloc(READ_BYTES)
    let rest = Buffer.alloc(0)
    let isTooLong = false
    for (let position = 0; ;) {
      const {bytesRead} = await fileOperation('read', this.name, async () =>
        this.#handle.read(chunk, 0, READ_BYTES, position),
      )
      if (bytesRead === 0) break
      position += bytesRead
      let start = 0
      for (let end = chunk.indexOf(NEWLINE); end !== -1 && end < bytesRead; end = chunk.indexOf(NEWLINE, start)) {
        yield isTooLong ? '?' : Buffer.concat([rest, chunk.subarray(start, end)]).toString('utf8')
        isTooLong = false
        rest = Buffer.alloc(0)
        start = end + 1
      }

      rest = Buffer.concat([rest, chunk.subarray(start, bytesRead)])
      if (rest.length <= MAX_LINE_BYTES) continue
      isTooLong = true
      rest = Buffer.alloc(0)
    }

    // Without its end it is a record all the same, when it is whole.
    if (isTooLong) yield '?'
    else if (rest.length > 0) yield rest.toString('utf8')
  }
}
