import type {Readable} from 'node:stream'

import type {Descriptor} from './descriptor.js'

import {IntegrityError} from '../errors.js'
import {Relay} from '../util/relay.js'
import {algorithmOf, Digester, digestOf} from './digest.js'

/**
 * Fails instead of ending when the number of bytes or their digest is not the descriptor's. A byte too many fails at
 * once: a hostile peer cannot stream for ever. A size of -1 is not checked.
 */
class Verified extends Relay {
  readonly #digester: Digester
  readonly #target: Descriptor

  constructor(source: Readable, target: Descriptor) {
    super(source, {highWaterMark: 1024 * 1024})
    this.#target = target
    this.#digester = new Digester(algorithmOf(target.digest))
  }

  protected override accept(chunk: Buffer): Buffer {
    this.#digester.update(chunk)
    const {size} = this.#target
    if (size >= 0 && this.#digester.size > size) throw sizeMismatch(this.#target, this.#digester.size)
    return chunk
  }

  protected override finish(): undefined {
    const {digest, size} = this.#target
    if (size >= 0 && this.#digester.size !== size) throw sizeMismatch(this.#target, this.#digester.size)
    checkDigest(this.#digester.value(), digest)
  }
}

/** @throws IntegrityError when they are not the descriptor's; a size of -1 is not checked */
export function checkContent(bytes: Buffer, target: Descriptor): void {
  if (target.size >= 0 && bytes.length !== target.size) throw sizeMismatch(target, bytes.length)
  checkDigest(digestOf(bytes, algorithmOf(target.digest)), target.digest)
}

function checkDigest(actual: string, expected: string): void {
  if (actual === expected) return
  throw new IntegrityError(`content of ${expected} has digest ${actual}`, {facts: {actual, expected}})
}

function sizeMismatch({digest, size}: Descriptor, actual: number): IntegrityError {
  const how = actual < size ? 'ended after' : 'goes on beyond'
  return new IntegrityError(`content of ${digest} ${how} ${Math.min(actual, size)} bytes, expected ${size}`, {
    facts: {actualSize: actual, expected: digest, expectedSize: size},
  })
}

/** The same bytes, verified. Destroying the result destroys `source`, and an error of either reaches the reader. */
export function verified(source: Readable, target: Descriptor): Readable {
  return new Verified(source, target)
}
