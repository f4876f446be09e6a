import {Readable} from 'node:stream'
import {createGunzip, gunzipSync, gzipSync} from 'node:zlib'

import {KlosetOciError, StoreFormatError} from '../../../errors.js'
import {type Compression, tooLarge} from './compression.js'

export const gzip: Compression = {
  compress: (bytes) => gzipSync(bytes),
  decompress(bytes, maxBytes) {
    try {
      return gunzipSync(bytes, {maxOutputLength: Math.max(1, maxBytes)})
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') tooLarge(maxBytes)
      throw broken(error)
    }
  },
  async *inflate(source, maxBytes) {
    let size = 0
    const gunzip = createGunzip()
    const input = Readable.from(source)
    input.once('error', (error) => gunzip.destroy(error))
    try {
      for await (const part of input.pipe(gunzip) as AsyncIterable<Buffer>) {
        size += part.length
        if (size > maxBytes) tooLarge(maxBytes)
        yield part
      }
    } catch (error) {
      // What the source threw is its own; what zlib threw is about the bytes.
      throw error instanceof KlosetOciError || !isZlib(error) ? error : broken(error)
    } finally {
      input.destroy()
    }
  },
}

function broken(cause: unknown): StoreFormatError {
  return new StoreFormatError('GZIP data is not sound', {cause})
}

function isZlib(error: unknown): boolean {
  return error instanceof Error && String((error as NodeJS.ErrnoException).code).startsWith('Z_')
}
