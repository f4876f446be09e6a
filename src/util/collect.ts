import type {Readable} from 'node:stream'

import {ProtocolError} from '../errors.js'

export interface CollectOptions {
  /** More bytes than this are refused, whatever was announced. */
  readonly limit: number
  /** Names the content in the error; asked only then. */
  readonly what: (() => string) | string
}

/**
 * Reads a stream into one buffer. The stream is destroyed when it goes beyond the limit.
 * @throws ProtocolError beyond the limit, or the stream's own error
 */
export async function collect(stream: Readable, {limit, what}: CollectOptions): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limit) {
      const name = typeof what === 'string' ? what : what()
      throw new ProtocolError(`${name}: goes on beyond ${limit} bytes`, {facts: {limit}})
    }

    chunks.push(chunk)
  }

  return Buffer.concat(chunks, size)
}
