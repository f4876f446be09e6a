import type {ByteRange} from '../interfaces.js'

import {IntegrityError, InvalidArgumentError} from '../../errors.js'
import {isCount} from '../../util/json.js'
import {type Descriptor} from '../descriptor.js'
import {type Digest} from '../digest.js'

/** A range cut to the content it is taken from. */
export interface CutRange {
  /** First byte behind the range. */
  readonly end: number
  readonly start: number
}

/**
 * Cuts `range` at the end of a content of `size` bytes.
 * @throws InvalidArgumentError when it starts at or beyond the end, or is no range at all
 */
export function cutRange({length, offset}: ByteRange, size: number, what: string): CutRange {
  if (!isCount(offset) || !isCount(length) || length === 0) {
    throw new InvalidArgumentError(`${what}: no such range: ${length} bytes at ${offset}`)
  }

  if (offset >= size) {
    throw new InvalidArgumentError(`${what}: range starts at ${offset}, beyond the content of ${size} bytes`, {
      facts: {offset, size},
    })
  }

  return {end: Math.min(offset + length, size), start: offset}
}

/** @throws IntegrityError when the stored size is not the one expected; an expected -1 is not checked */
export function checkStoredSize(target: Descriptor, actual: number): void {
  if (target.size >= 0 && target.size !== actual) throw sizeMismatch(target, actual)
}

export function sizeMismatch({digest, size}: Descriptor, actual: number): IntegrityError {
  return new IntegrityError(`content of ${digest} has ${actual} bytes, expected ${size}`, {
    facts: {actualSize: actual, expected: digest, expectedSize: size},
  })
}

export function digestMismatch(expected: Digest, actual: Digest): IntegrityError {
  return new IntegrityError(`content of ${expected} has digest ${actual}`, {facts: {actual, expected}})
}
