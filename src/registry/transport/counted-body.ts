import type {ClientRequest} from 'node:http'
import type {Readable, Writable} from 'node:stream'

import {setTimeout as pause} from 'node:timers/promises'

import {IntegrityError} from '../../errors.js'
import {Relay} from '../../util/relay.js'

/** From here on a body is worth a packet of its own for the head before it. */
const LONG_BYTES = 1024 * 1024

/** So long a server has for the head alone. */
const HEAD_MS = 1

/**
 * The body of a request, counted on its way: a source that is longer or shorter than it said must not reach the peer
 * as such.
 */
export class CountedBody extends Relay {
  #isStopped = false
  #sent = 0
  readonly #size: number

  constructor(source: Readable, size: number) {
    super(source)
    this.#size = size
  }

  /** Bytes that went on so far. */
  get sent(): number {
    return this.#sent
  }

  protected override accept(chunk: Buffer): Buffer {
    this.#sent += chunk.length
    if (this.#sent > this.#size) throw sizeError(this.#size, this.#sent)
    return chunk
  }

  protected override finish(): undefined {
    if (this.#sent < this.#size) throw sizeError(this.#size, this.#sent)
  }

  /** Writes itself piece by piece, the next one when the system has taken the last one, and then ends the request. */
  override pipe<T extends NodeJS.WritableStream>(request: T): T {
    this.#writeAll(request as unknown as ClientRequest).then(
      () => request.end(),
      // The error is this stream's own, and told as such.
      () => {},
    )
    return request
  }

  /** No more of it is written. */
  override unpipe(): this {
    this.#isStopped = true
    return this
  }

  /** Until the system has the piece. A request that broke or needs no more is destroyed, and this body with it. */
  async #write(request: Writable, piece: Buffer): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isStopped) return
      request.write(piece, (error) => {
        if (!error) resolve()
      })
    })
  }

  /**
   * The head of a long body goes first. A server whose first read brought both would write all the rest of the body
   * across the pages of its file: distribution takes a sixth longer for it on a disk.
   */
  async #writeAll(request: ClientRequest): Promise<void> {
    if (this.#size >= LONG_BYTES) {
      request.flushHeaders()
      await pause(HEAD_MS)
    }

    await this.drainTo(async (piece) => this.#write(request, piece))
  }
}

/** A source is not as long as it said. */
export function sizeError(expected: number, actual: number): IntegrityError {
  return new IntegrityError(`the content to send is not ${expected} bytes long but ${actual}`, {
    facts: {actual, expected},
    suggestions: ['The source changed while it was read: try again when it is at rest.'],
  })
}
