import {PassThrough, pipeline, type Readable, type Transform} from 'node:stream'

import type {Descriptor} from '../registry/descriptor.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {ContentSource} from '../util/content-source.js'

import {messageOf} from '../errors.js'

/** Looks at bytes as they pass, and fails before the end when they are wrong. */
export type PassingCheck = Transform & {readonly failure: Error | undefined}

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
  #check: PassingCheck | undefined
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
    return this.#failure ?? this.#check?.failure
  }

  open(): Readable {
    this.#failure = undefined
    this.#check = this.#options.check?.()
    const out = this.#check ?? new PassThrough({highWaterMark: 256 * 1024})
    this.#fill(out).catch((error: unknown) => {
      this.#failure ??= error instanceof Error ? error : new Error(messageOf(error))
      out.destroy(this.#failure)
    })
    return out
  }

  async #fill(out: Transform): Promise<void> {
    const {onBytes, signal} = this.#options
    const stream = await this.#from.blobs.fetch(this.#target, {signal})
    // The one who reads has gone already: nothing is to be sent any more.
    if (out.destroyed) {
      stream.destroy()
      return
    }

    stream.once('error', (error) => {
      // After the reader has gone it is the reader's error, handed down.
      if (!out.destroyed) this.#failure ??= error
    })
    if (onBytes) stream.on('data', (chunk: Buffer) => onBytes(chunk.length))
    pipeline(stream, out, () => {})
  }
}
