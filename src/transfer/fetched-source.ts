import type {Readable} from 'node:stream'

import type {Descriptor} from '../registry/descriptor.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {Sink} from '../util/drain.js'

import {messageOf} from '../errors.js'
import {collect} from '../util/collect.js'
import {bufferSource, type ContentSource} from '../util/content-source.js'
import {Relay} from '../util/relay.js'

/** Looks at bytes as they pass. */
export interface PassingCheck {
  /** @throws when the bytes were wrong */
  finish(): void
  update(bytes: Buffer): void
}

export interface FetchedSourceOptions extends CallOptions {
  /** Makes a check for each reading. */
  readonly check?: (() => PassingCheck) | undefined
  readonly onBytes?: ((count: number) => void) | undefined
}

/**
 * A blob of another repository as something to send: fetched while it is sent, and fetched anew when the upload begins
 * anew. Nothing of it is held but what is on its way.
 */
export class FetchedSource implements ContentSource {
  /** What is fetched whole fails rather than end when its digest is wrong. */
  readonly proves: string
  readonly size: number
  #failure: Error | undefined
  readonly #from: Repository
  readonly #options: FetchedSourceOptions
  readonly #target: Descriptor

  constructor(from: Repository, target: Descriptor, options: FetchedSourceOptions = {}) {
    this.proves = target.digest
    this.size = target.size
    this.#from = from
    this.#options = options
    this.#target = target
  }

  /** What went wrong in the latest reading: at the other repository, or with its bytes. Not what broke the upload. */
  get failure(): Error | undefined {
    return this.#failure
  }

  open(): Readable {
    this.#failure = undefined
    const out = new Passing(this.#options, (error) => this.#note(error))
    this.#from.blobs.fetch(this.#target, {signal: this.#options.signal}).then(
      (stream) => {
        // After the reader has gone it is the reader's error, handed down. One who drains is told apart in `giveAll`.
        stream.once('error', (error) => out.isDrained || out.destroyed || this.#note(error))
        out.attach(stream)
      },
      (error: unknown) => out.destroy(this.#note(error)),
    )
    return out
  }

  #note(error: unknown): Error {
    this.#failure ??= error instanceof Error ? error : new Error(messageOf(error))
    return this.#failure
  }
}

/**
 * A small blob of another repository as something to send, fetched before it is sent: it can be sent again without.
 * @throws what it was fetched with, or what the check throws
 */
export async function fetchHeld(
  from: Repository,
  target: Descriptor,
  {check, onBytes, signal}: FetchedSourceOptions = {},
): Promise<ContentSource> {
  const stream = await from.blobs.fetch(target, {signal})
  const bytes = await collect(stream, {limit: target.size, what: `blob ${target.digest}`})
  onBytes?.(bytes.length)
  const passing = check?.()
  passing?.update(bytes)
  passing?.finish()
  return {...bufferSource(bytes), proves: target.digest}
}

/** What is fetched, on its way to where it is sent. */
class Passing extends Relay {
  readonly #check: PassingCheck | undefined
  readonly #note: (error: unknown) => Error
  readonly #onBytes: ((count: number) => void) | undefined

  constructor({check, onBytes}: FetchedSourceOptions, note: (error: unknown) => Error) {
    super()
    this.#check = check?.()
    this.#note = note
    this.#onBytes = onBytes
  }

  protected override accept(chunk: Buffer): Buffer {
    this.#check?.update(chunk)
    this.#onBytes?.(chunk.length)
    return chunk
  }

  protected override finish(): undefined {
    try {
      this.#check?.finish()
    } catch (error) {
      throw this.#note(error)
    }
  }

  protected override async giveAll(sink: Sink): Promise<void> {
    let sinkFailed = false
    try {
      await super.giveAll(async (piece) => {
        try {
          await sink(piece)
        } catch (error) {
          sinkFailed = true
          throw error
        }
      })
    } catch (error) {
      // A reader that has gone is not the source's failure.
      if (!sinkFailed && (!this.destroyed || this.errored === error)) this.#note(error)
      throw error
    }
  }
}
