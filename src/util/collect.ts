import {finished, type Readable} from 'node:stream'

import {ProtocolError} from '../errors.js'
import {takeHeld} from './content-source.js'

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
export async function collect(stream: Readable, options: CollectOptions): Promise<Buffer> {
  const held = takeHeld(stream)
  if (held && held.length > options.limit) throw tooLong(options)
  return held ?? collectStream(stream, options)
}

function collectStream(stream: Readable, options: CollectOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    finished(stream, {writable: false}, (error) => {
      if (error) reject(stream.errored ?? error)
      else resolve(Buffer.concat(chunks, size))
    })
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length
      chunks.push(chunk)
      if (size > options.limit) stream.destroy(tooLong(options))
    })
  })
}

function tooLong({limit, what}: CollectOptions): Error {
  const name = typeof what === 'string' ? what : what()
  return new ProtocolError(`${name}: goes on beyond ${limit} bytes`, {facts: {limit}})
}
