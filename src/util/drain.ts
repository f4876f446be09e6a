import {finished, Readable} from 'node:stream'

/**
 * Takes the pieces of a stream, one behind the other. A piece is its giver's again, to be written over, as soon as the
 * call has returned or what it returned has settled: who needs it longer keeps a copy.
 */
export type Sink = (piece: Buffer) => Promise<void> | void

/**
 * Gives a whole stream to a sink, instead of any other reading. Nothing is read while the sink is at work, and its
 * failure destroys the stream. Large content comes in large pieces, and in memory that is used again: to ask the system
 * for ever new memory costs more than to read into it and to hash it.
 * @throws what the stream or the sink fails with
 */
export async function drain(stream: AsyncIterable<Uint8Array> | Readable, sink: Sink): Promise<void> {
  if (!(stream instanceof Readable)) {
    for await (const piece of stream) await sink(asBuffer(piece))
    return
  }

  if (stream instanceof DrainableStream) return stream.drainTo(sink)
  const pump = new Pump(stream, sink, () => stream.resume())
  stream.on('data', (piece: Buffer) => {
    if (!pump.give(piece)) stream.pause()
  })
  return pump.ended()
}

/** A stream that has its own way to give what it brings to a sink. */
export abstract class DrainableStream extends Readable {
  /** @see drain */
  async drainTo(sink: Sink): Promise<void> {
    // Who drains gets the error by the promise.
    this.on('error', () => {})
    try {
      if (!this.destroyed) await this.giveAll(sink)
      if (this.destroyed && !this.readableEnded) throw new Error('the stream was given up')
    } catch (error) {
      this.destroy(error as Error)
      throw this.errored ?? error
    }

    this.push(null)
    this.resume()
  }

  /** Gives everything to the sink, one piece after the other. @throws what the stream or the sink fails with */
  protected abstract giveAll(sink: Sink): Promise<void>
}

/** Gives the pieces of a stream that pushes them to a sink, one at a time. */
export class Pump {
  #isBusy = false
  readonly #onReady: () => void
  readonly #sink: Sink
  readonly #stream: Readable
  #work: Promise<void> = Promise.resolve()

  /**
   * @param stream destroyed with the sink's error
   * @param onReady called when the sink takes pieces again, after it did not
   */
  constructor(stream: Readable, sink: Sink, onReady: () => void) {
    this.#stream = stream
    this.#sink = sink
    this.#onReady = onReady
  }

  /** Until the stream is over and the sink has done with its last piece. @throws what one of them fails with */
  async ended(): Promise<void> {
    const failure = await new Promise<Error | undefined>((resolve) => {
      finished(this.#stream, {writable: false}, (error) => resolve(error ? (this.#stream.errored ?? error) : undefined))
    })
    await this.#work
    if (failure) throw failure
  }

  /** @returns whether the sink has done with it: without, the piece must stay as it is until `onReady` */
  give(piece: Buffer): boolean {
    // Nothing should come while the sink is at work; what does nevertheless waits for its turn.
    if (this.#isBusy) {
      const copy = Buffer.from(piece)
      this.#await(this.#work.then(() => this.#sink(copy)))
      return false
    }

    try {
      const work = this.#sink(piece)
      if (!work) return true
      this.#await(work)
      return false
    } catch (error) {
      this.#stream.destroy(error as Error)
      return false
    }
  }

  #await(work: Promise<void>): void {
    this.#isBusy = true
    const done = work.then(
      () => {
        if (this.#work !== done) return
        this.#isBusy = false
        this.#onReady()
      },
      (error: Error) => {
        this.#stream.destroy(error)
      },
    )
    this.#work = done
  }
}

function asBuffer({buffer, byteLength, byteOffset}: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
