import {pipeline, type Readable, Transform, type TransformCallback} from 'node:stream'

import type {Descriptor} from './descriptor.js'

import {IntegrityError} from '../errors.js'
import {algorithmOf, Digester} from './digest.js'

/**
 * Passes bytes through and fails instead of ending when their count or digest is not the descriptor's.
 * A byte too many fails at once: a hostile peer cannot stream for ever. A size of -1 is not checked.
 */
export class VerifyStream extends Transform {
  readonly #digester: Digester
  readonly #target: Descriptor

  constructor(target: Descriptor) {
    super({highWaterMark: 1024 * 1024})
    this.#target = target
    this.#digester = new Digester(algorithmOf(target.digest))
  }

  override _flush(callback: TransformCallback): void {
    const {digest, size} = this.#target
    if (size >= 0 && this.#digester.size !== size) {
      callback(sizeMismatch(this.#target, this.#digester.size))
      return
    }

    const actual = this.#digester.value()
    callback(
      actual === digest
        ? null
        : new IntegrityError(`content of ${digest} has digest ${actual}`, {facts: {actual, expected: digest}}),
    )
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#digester.update(chunk)
    const {size} = this.#target
    if (size >= 0 && this.#digester.size > size) callback(sizeMismatch(this.#target, this.#digester.size))
    else callback(null, chunk)
  }
}

function sizeMismatch({digest, size}: Descriptor, actual: number): IntegrityError {
  const how = actual < size ? 'ended after' : 'goes on beyond'
  return new IntegrityError(`content of ${digest} ${how} ${Math.min(actual, size)} bytes, expected ${size}`, {
    facts: {actualSize: actual, expected: digest, expectedSize: size},
  })
}

/** The same bytes, verified. Destroying the result destroys `source`, and an error of either reaches the reader. */
export function verified(source: Readable, target: Descriptor): Readable {
  const verifier = new VerifyStream(target)
  // The callback is empty on purpose: pipeline has already destroyed the verifier with the error, and its reader sees it.
  return pipeline(source, verifier, () => {}) as unknown as Readable
}
