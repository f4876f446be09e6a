import {finished, type Readable} from 'node:stream'

import {drain, DrainableStream, type Sink} from './drain.js'

/** Held of the source for whoever reads this as a stream. */
const READ_AHEAD_BYTES = 256 * 1024

/**
 * Hands on what another stream brings, looked at on its way: what a Transform behind a pipe does, without the second
 * buffer and the turns in between, which cost more than the look at large pieces.
 * It reads only as fast as it is read. An error of the source, or its end before it was over, is its own error; when it
 * is destroyed, so is the source.
 */
export abstract class Relay extends DrainableStream {
  #isDrained = false
  #isListening = false
  #onSource: ((source: Readable) => void) | undefined
  #source: Readable | undefined
  #wanted = false

  /** @param source none for one that is still to come */
  constructor(source?: Readable, {highWaterMark = READ_AHEAD_BYTES}: {readonly highWaterMark?: number} = {}) {
    super({highWaterMark})
    if (source) this.attach(source)
  }

  /** Whether it is drained, and not read. */
  get isDrained(): boolean {
    return this.#isDrained
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#source?.destroy()
    callback(error)
  }

  override _read(): void {
    this.#wanted = true
    this.#listen()
  }

  /**
   * Looks at a piece, which it may not keep: it is written over afterwards when the stream is drained.
   * @returns what goes on now. @throws to end the stream with that error
   */
  protected abstract accept(chunk: Buffer): Buffer | undefined

  /** The source has come: once. It is destroyed at once when nobody waits for it any more. */
  attach(source: Readable): void {
    this.#source = source
    finished(source, {writable: false}, (error) => {
      if (error) this.destroy(error)
      else if (!this.#isDrained && this.#attempt(() => this.finish())) this.push(null)
    })
    if (this.destroyed) source.destroy()
    else if (this.#onSource) this.#onSource(source)
    else if (this.#wanted) this.#listen()
  }

  /** Called when all is in. @returns the last of what goes on. @throws to end the stream with that error */
  protected abstract finish(): Buffer | undefined

  protected override async giveAll(sink: Sink): Promise<void> {
    this.#isDrained = true
    await drain(await this.#arrived(), (piece) => {
      const bytes = this.accept(piece)
      return bytes && bytes.length > 0 ? sink(bytes) : undefined
    })
    const last = this.finish()
    if (last && last.length > 0) await sink(last)
  }

  async #arrived(): Promise<Readable> {
    if (this.#source) return this.#source
    return new Promise((resolve, reject) => {
      this.#onSource = resolve
      finished(this, (error) => reject(error ?? new Error('over before it began')))
    })
  }

  /** @returns whether it went well */
  #attempt(step: () => Buffer | undefined): boolean {
    if (this.destroyed) return false
    try {
      const bytes = step()
      if (bytes && bytes.length > 0 && !this.push(bytes)) this.#pause()
      return true
    } catch (error) {
      this.destroy(error as Error)
      return false
    }
  }

  #listen(): void {
    if (!this.#source || this.#isDrained) return
    if (!this.#isListening) {
      this.#isListening = true
      this.#source.on('data', (chunk: Buffer) => this.#attempt(() => this.accept(chunk)))
    }

    this.#source.resume()
  }

  #pause(): void {
    this.#wanted = false
    this.#source?.pause()
  }
}
