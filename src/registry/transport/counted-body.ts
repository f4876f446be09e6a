import type {Readable} from 'node:stream'

import {IntegrityError} from '../../errors.js'
import {Relay} from '../../util/relay.js'

/**
 * The body of a request, counted on its way: a source that is longer or shorter than it said must not reach the peer
 * as such.
 */
export class CountedBody extends Relay {
  #sent = 0
  readonly #size: number

  constructor(source: Readable, size: number) {
    // Several pieces of the usual 64 KiB: with less every one of them would wait for the one before.
    super(source, {highWaterMark: 256 * 1024})
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
}

function sizeError(expected: number, actual: number): IntegrityError {
  return new IntegrityError(`the content to send is not ${expected} bytes long but ${actual}`, {
    facts: {actual, expected},
    suggestions: ['The source changed while it was read: try again when it is at rest.'],
  })
}
