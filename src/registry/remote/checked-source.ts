import type {Readable} from 'node:stream'

import type {Descriptor} from '../descriptor.js'

import {IntegrityError, KlosetOciError, LocalIoError, messageOf} from '../../errors.js'
import {type ContentSource, readableOf, takeHeld} from '../../util/content-source.js'
import {Relay} from '../../util/relay.js'
import {algorithmOf, Digester, digestOf} from '../digest.js'

/**
 * Hands on the piece that completes the size only when all is known to be right: a source that is not what it says never
 * gets as far as being complete at the registry.
 */
class SendCheck extends Relay {
  /** None for a source that proves its digest itself, by not ending when it is wrong. */
  readonly #digester: Digester | undefined
  #last: Buffer | undefined
  #size = 0
  readonly #target: Descriptor

  constructor(source: Readable, target: Descriptor, {isProven}: {readonly isProven: boolean}) {
    super(source)
    this.#target = target
    this.#digester = isProven ? undefined : new Digester(algorithmOf(target.digest))
  }

  protected override accept(chunk: Buffer): Buffer | undefined {
    this.#digester?.update(chunk)
    this.#size += chunk.length
    if (this.#size > this.#target.size) throw wrongSize(this.#target, this.#size)
    if (this.#size < this.#target.size || chunk.length === 0) return chunk
    // A copy: whether it may go is known when the source has ended.
    this.#last = Buffer.from(chunk)
    return undefined
  }

  protected override finish(): Buffer | undefined {
    if (this.#size !== this.#target.size) throw wrongSize(this.#target, this.#size)
    const error = this.#digester && mismatch(this.#digester, this.#target)
    if (error) throw error
    return this.#last
  }
}

/** The same source, whose streams fail with `IntegrityError` rather than end when the bytes are not `target`'s. */
export function checkedSource(source: ContentSource, target: Descriptor): ContentSource {
  const isProven = source.proves === target.digest
  const open = () => {
    const stream = source.open()
    const held = takeHeld(stream)
    if (!held) return new SendCheck(stream, target, {isProven})
    if (held.length !== target.size) throw wrongSize(target, held.length)
    const actual = isProven ? target.digest : digestOf(held, algorithmOf(target.digest))
    if (actual !== target.digest) throw wrongDigest(target, actual)
    return readableOf(held)
  }

  return {open, size: target.size}
}

/** One piece of a source on its way. */
export interface Chunk {
  readonly bytes: Buffer
  readonly offset: number
}

/**
 * The source in chunks of `size` bytes, the last one shorter and only after size and digest have proved right.
 * @throws IntegrityError
 * @yields at least one chunk, except for an empty source
 */
export async function* checkedChunks(source: ContentSource, target: Descriptor, size: number): AsyncGenerator<Chunk> {
  const digester = new Digester(algorithmOf(target.digest))
  const cutter = new Cutter(size)
  for await (const part of readable(source.open())) {
    digester.update(part)
    if (digester.size > target.size) throw wrongSize(target, digester.size)
    cutter.add(part)
    while (cutter.held > size) yield cutter.take()
  }

  const error = mismatch(digester, target)
  if (error) throw error
  if (cutter.held > 0) yield cutter.take()
}

/** Cuts what it is given into pieces of one size. */
class Cutter {
  #held = 0
  #offset = 0
  #parts: Buffer[] = []
  readonly #size: number

  constructor(size: number) {
    this.#size = size
  }

  /** Bytes that wait to be taken. */
  get held(): number {
    return this.#held
  }

  add(part: Buffer): void {
    this.#parts.push(part)
    this.#held += part.length
  }

  take(): Chunk {
    const all = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
    const bytes = all.subarray(0, this.#size)
    const rest = all.subarray(bytes.length)
    this.#parts = rest.length > 0 ? [rest] : []
    this.#held = rest.length
    const chunk = {bytes, offset: this.#offset}
    this.#offset += bytes.length
    return chunk
  }
}

/** A source's own failure, as the error that the one-piece upload gives too. */
async function* readable(stream: Readable): AsyncGenerator<Buffer> {
  try {
    yield* stream as AsyncIterable<Buffer>
  } catch (error) {
    if (error instanceof KlosetOciError) throw error
    throw new LocalIoError(`the content to send could not be read: ${messageOf(error)}`, {cause: error})
  }
}

function mismatch(digester: Digester, target: Descriptor): IntegrityError | undefined {
  if (digester.size !== target.size) return wrongSize(target, digester.size)
  const actual = digester.value()
  return actual === target.digest ? undefined : wrongDigest(target, actual)
}

function wrongDigest(target: Descriptor, actual: string): IntegrityError {
  return new IntegrityError(`push of ${target.digest}: the source has digest ${actual}`, {
    facts: {actual, expected: target.digest},
    suggestions: ['The source changed or is damaged: read it again, and compare it with its origin.'],
  })
}

function wrongSize({digest, size}: Descriptor, actual: number): IntegrityError {
  const bytes = actual > size ? `more than ${size}` : String(actual)
  return new IntegrityError(`push of ${digest}: the source has ${bytes} bytes, expected ${size}`, {
    facts: {actualSize: actual, expected: digest, expectedSize: size},
  })
}
