import type {Readable} from 'node:stream'

import {takeHeld} from '../../util/content-source.js'

/** Error bodies, tokens and other small answers are read no further than this. */
export const MAX_SMALL_BODY_BYTES = 64 * 1024

/** A peer that feeds a small body byte by byte is not waited for longer than this. */
const SMALL_BODY_MS = 15_000

/** What is left of an unwanted body is read up to this size, so that its connection can be used again. */
const MAX_DISCARD_BYTES = 64 * 1024
const DISCARD_MS = 2000

export interface BoundedBody {
  readonly bytes: Buffer
  /** False when there was more, or the rest never came. */
  readonly complete: boolean
}

/** Reads at most `limit` bytes and never fails: a body that breaks or goes on is what came of it until then. */
export function readBounded(body: Readable, limit = MAX_SMALL_BODY_BYTES): Promise<BoundedBody> {
  return collect(body, limit, SMALL_BODY_MS, true)
}

/** Gets rid of an unwanted body: reads it to its end when that is near, or drops the connection. Never fails. */
export async function discard(body: Readable): Promise<void> {
  await collect(body, MAX_DISCARD_BYTES, DISCARD_MS, false)
}

function collect(body: Readable, limit: number, milliseconds: number, keep: boolean): Promise<BoundedBody> {
  const held = takeHeld(body)
  if (held) return Promise.resolve({bytes: held.subarray(0, limit), complete: held.length <= limit})
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    const finish = (complete: boolean) => {
      clearTimeout(timer)
      body.off('data', onData)
      // Destroying a stream can still make it report: nobody listens for that any more.
      body.on('error', () => {})
      if (!complete) body.destroy()
      resolve({bytes: Buffer.concat(chunks), complete})
    }

    const onData = (chunk: Buffer) => {
      const room = limit - size
      size += chunk.length
      if (keep && room > 0) chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk)
      if (size > limit) finish(false)
    }

    const timer = setTimeout(() => finish(false), milliseconds)
    if (body.readableEnded || body.destroyed) {
      finish(body.readableEnded)
      return
    }

    body.once('end', () => finish(true))
    body.once('error', () => finish(false))
    body.once('close', () => finish(body.readableEnded))
    body.on('data', onData)
  })
}
