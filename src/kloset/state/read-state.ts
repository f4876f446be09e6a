import type {Codec} from '../codec/codec.js'
import type {Hasher} from '../hashing.js'
import type {Mac} from '../mac.js'
import type {Version} from '../version.js'
import type {MetadataEntry, StateEntry} from './entries.js'

import {IntegrityError, StoreFormatError} from '../../errors.js'
import {checkHeader, EnvelopeChecker, EnvelopeWindow} from '../envelope.js'
import {StateDecoder} from './decoder.js'

/** A state tells of a million blobs in some hundred megabytes; what decompresses to more than this does not. */
const MAX_STATE_BYTES = 64 * 1024 ** 3

/** A state as it is stored, in its envelope. */
export interface StateSource {
  readonly codec: Codec
  /** Fresh and keyed as the store's MACs are; none leaves the MAC unchecked. */
  readonly hasher: Hasher | undefined
  /** Bytes of the stored object. */
  readonly size: number
  readonly stream: AsyncIterable<Buffer>
  /** Names the state in errors. */
  readonly what: string
}

export interface StateVisitor {
  /** Takes the entries as they come, before the MAC has proven them. Without it only the beginning is decoded. */
  readonly onEntry?: ((entry: StateEntry) => void) | undefined
  /** Takes the stored bytes as they come. */
  readonly onStored?: ((bytes: Buffer) => void) | undefined
}

/** What a state says of itself. */
export interface StateHead {
  /** Known when the whole was decoded. */
  readonly metadata: MetadataEntry | undefined
  readonly parent: Mac | undefined
  readonly version: Version
}

/**
 * Reads a state as a stream to its end. What the visitor got is to be believed only when this returns.
 * @throws IntegrityError with the fact `mac: false` when its MAC is wrong
 * @throws StoreFormatError | VersionError when it is no sound state, and whatever the stream throws
 */
export async function readStateStream(source: StateSource, visitor: StateVisitor): Promise<StateHead> {
  const reading = new Reading(source, visitor)
  const failure = await reading.decode()
  await reading.drain()
  const {authentic, type, version} = reading.checker.finish(source.what)
  // What failed to decode was damaged, then: the MAC says so better than the decoder.
  if (authentic === false) {
    throw new IntegrityError(`${source.what}: its MAC does not match its content`, {facts: {mac: false}})
  }

  checkHeader({type, version}, 'state', source.what)
  if (failure !== undefined) throw failure
  return {metadata: reading.metadata, parent: reading.parent, version}
}

class Reading {
  readonly checker: EnvelopeChecker
  metadata: MetadataEntry | undefined
  parent: Mac | undefined
  readonly #chunks: AsyncIterator<Buffer>
  #isOver = false
  readonly #source: StateSource
  #streamFailed = false
  readonly #visitor: StateVisitor
  readonly #window: EnvelopeWindow

  constructor(source: StateSource, visitor: StateVisitor) {
    this.checker = new EnvelopeChecker(source.hasher)
    this.#chunks = source.stream[Symbol.asyncIterator]()
    this.#source = source
    this.#visitor = visitor
    this.#window = new EnvelopeWindow(source.size)
  }

  /** @returns the decoder's error, if it had one: the MAC has to be known before it is told */
  async decode(): Promise<unknown> {
    const {codec, what} = this.#source
    const {onEntry} = this.#visitor
    try {
      let decoder: StateDecoder | undefined
      for await (const part of codec.decodeStream(this.#data(), MAX_STATE_BYTES)) {
        const {version} = this.#header()
        decoder ??= new StateDecoder(version, what)
        for (const entry of decoder.push(part)) {
          if (!onEntry) break
          onEntry(entry)
        }

        this.parent = decoder.parent
        if (!onEntry && (this.parent !== undefined || !decoder.awaitsParent)) return undefined
      }

      if (!decoder) throw new StoreFormatError(`${what}: is empty`)
      this.metadata = decoder.end()
      return undefined
    } catch (error) {
      if (this.#streamFailed) throw error
      return error
    }
  }

  /** Takes in what the decoder left, so that the MAC is known whatever is in it. */
  async drain(): Promise<void> {
    while (!this.#isOver) await this.#next()
  }

  async *#data(): AsyncGenerator<Buffer> {
    for (;;) {
      const chunk = await this.#next()
      if (!chunk) return
      const part = this.#window.cut(chunk)
      if (part.length > 0) yield part
    }
  }

  #header() {
    const header = this.checker.header(this.#source.what)
    if (!header) throw new StoreFormatError(`${this.#source.what}: ended within its header`)
    checkHeader(header, 'state', this.#source.what)
    return header
  }

  async #next(): Promise<Buffer | undefined> {
    const next = await this.#chunks.next().catch((error: unknown) => {
      this.#streamFailed = true
      throw error
    })
    if (next.done) {
      this.#isOver = true
      return undefined
    }

    this.checker.update(next.value)
    this.#visitor.onStored?.(next.value)
    return next.value
  }
}
