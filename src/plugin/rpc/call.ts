import {setMaxListeners} from 'node:events'

import type {Stream, StreamConsumer} from '../h2/stream.js'

import {encodeHeaders} from '../h2/hpack.js'
import {MAX_MESSAGE_BYTES, MessageReader, PREFIX_BYTES} from './message-reader.js'
import {encodeMessage, RpcError, Status} from './status.js'

const HEADERS = encodeHeaders(200, [['content-type', 'application/grpc']])
const TRAILERS_OK = encodeHeaders('none', [['grpc-status', '0']])
const NOTHING = Buffer.alloc(0)

/** What a handler sees of its call. */
export interface CallContext {
  /** Aborts when the client cancelled, its deadline has passed, or it is gone. */
  readonly signal: AbortSignal
}

/** A call that answers with many messages. */
export interface Sending extends CallContext {
  /** Resolves when the client has taken enough, or is gone. */
  drained(): Promise<void>
  /** Sends one message of two parts. @returns false when the caller should wait for `drained` */
  send(head: Buffer, payload: Buffer): boolean
}

/** A call that is asked with many messages. */
export interface Receiving extends CallContext {
  /** The next message, which is valid until the one after it is asked for; undefined after the last. */
  next(): Promise<Buffer | undefined>
  /** Lets the client have so many bytes under way. */
  widen(bytes: number): void
}

export type Handler =
  | {readonly handle: (call: Receiving) => Promise<Buffer>; readonly kind: 'receiving'}
  | {readonly handle: (request: Buffer, call: CallContext) => Buffer | Promise<Buffer>; readonly kind: 'unary'}
  | {readonly handle: (request: Buffer, call: Sending) => Promise<void> | void; readonly kind: 'sending'}

/** Turns what a handler threw into what the client is told. */
export type ErrorMapper = (error: unknown) => RpcError

/** One call: the messages of a stream on the one side, a handler on the other. */
export class Call implements Receiving, Sending, StreamConsumer {
  #abort: AbortController | undefined
  /** The message that the handler got last. */
  #given: Buffer | undefined
  readonly #handler: Handler
  #headersSent = false
  /** Bytes that the client gets no new window for until the handler has taken the messages that wait. */
  #held = 0
  readonly #mapError: ErrorMapper
  #over = false
  readonly #queue: Buffer[] = []
  readonly #reader: MessageReader
  #remoteEnded = false
  #started = false
  readonly #stream: Stream
  #timer: NodeJS.Timeout | undefined
  #waiting: undefined | {reject: (error: Error) => void; resolve: (message?: Buffer) => void}

  constructor(stream: Stream, handler: Handler, mapError: ErrorMapper) {
    this.#handler = handler
    this.#mapError = mapError
    this.#stream = stream
    this.#reader = new MessageReader((message) => this.#message(message), {copy: handler.kind === 'receiving'})
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController()
      // As many requests listen to it as one call has under way.
      setMaxListeners(0, this.#abort.signal)
      if (this.#over) this.#abort.abort(new RpcError(Status.CANCELLED, 'the call is over'))
    }

    return this.#abort.signal
  }

  data(bytes: Buffer): void {
    if (this.#over) return
    try {
      this.#reader.push(bytes)
    } catch (error) {
      this.#fail(error)
      return
    }

    // A client may not run ahead of the handler by more than its window and one message.
    if (this.#queue.length > 0) this.#held += bytes.length
    else this.#stream.consumed(bytes.length)
  }

  drained(): Promise<void> {
    return this.#stream.drained()
  }

  end(): void {
    if (this.#over) return
    this.#remoteEnded = true
    if (this.#reader.partial) this.#fail(new RpcError(Status.INTERNAL, 'the request ended inside a message'))
    else if (this.#handler.kind === 'receiving') this.#waiting?.resolve()
    else if (!this.#started) this.#fail(new RpcError(Status.INTERNAL, 'the request has no message'))
  }

  /** Ends the call with DEADLINE_EXCEEDED when it takes longer. */
  limit(milliseconds: number): void {
    this.#timer = setTimeout(
      () => {
        this.#fail(new RpcError(Status.DEADLINE_EXCEEDED, 'the deadline of the call has passed'))
      },
      Math.min(milliseconds, 0x7f_ff_ff_ff),
    )
  }

  async next(): Promise<Buffer | undefined> {
    if (this.#given) this.#reader.recycle(this.#given)
    this.#given = await this.#next()
    return this.#given
  }

  reset(reason: string): void {
    this.#finish(new RpcError(Status.CANCELLED, reason))
  }

  send(head: Buffer, payload: Buffer): boolean {
    if (this.#over) return true
    const lead = Buffer.allocUnsafe(PREFIX_BYTES + head.length)
    lead[0] = 0
    lead.writeUInt32BE(head.length + payload.length, 1)
    head.copy(lead, PREFIX_BYTES)
    this.#sendHeaders()
    return this.#stream.send(lead, payload)
  }

  /** A call that is asked with many messages begins before the first of them. */
  start(): void {
    if (this.#handler.kind !== 'receiving') return
    this.#started = true
    this.#settle(this.#handler.handle(this))
  }

  widen(bytes: number): void {
    this.#stream.widen(bytes)
  }

  #answer(message: Buffer): void {
    if (this.#over) return
    if (message.length > MAX_MESSAGE_BYTES) {
      this.#fail(new RpcError(Status.RESOURCE_EXHAUSTED, 'the answer is over the 4 MiB limit of one message'))
      return
    }

    this.send(message, NOTHING)
    this.#complete()
  }

  #complete(): void {
    if (this.#over) return
    this.#sendHeaders()
    this.#stream.end(TRAILERS_OK)
    this.#finish()
  }

  #fail(error: unknown): void {
    if (this.#over) return
    const {message, status} = error instanceof RpcError ? error : this.#mapError(error)
    const fields: [string, string][] = [
      ['grpc-status', String(status)],
      ['grpc-message', encodeMessage(message)],
    ]
    this.#stream.end(
      this.#headersSent
        ? encodeHeaders('none', fields)
        : encodeHeaders(200, [['content-type', 'application/grpc'], ...fields]),
    )
    this.#finish(new RpcError(status, message))
  }

  #finish(reason?: RpcError): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    if (!reason) return
    this.#queue.length = 0
    this.#waiting?.reject(reason)
    this.#abort?.abort(reason)
  }

  #message(message: Buffer): void {
    if (this.#over) return
    if (this.#handler.kind === 'receiving') {
      const waiting = this.#waiting
      this.#waiting = undefined
      if (waiting) waiting.resolve(message)
      else this.#queue.push(message)
      return
    }

    if (this.#started) throw new RpcError(Status.INTERNAL, 'more than one message in the request')
    this.#started = true
    this.#run(message)
  }

  async #next(): Promise<Buffer | undefined> {
    const message = this.#queue.shift()
    if (message) {
      if (this.#queue.length === 0 && this.#held > 0) {
        this.#stream.consumed(this.#held)
        this.#held = 0
      }

      return message
    }

    if (this.#over) throw new RpcError(Status.CANCELLED, 'the call is over')
    if (this.#remoteEnded) return undefined
    const next = await new Promise<Buffer | undefined>((resolve, reject) => {
      this.#waiting = {reject, resolve}
    })
    // Some clients end the request before they reset it: what they sent so far is not the whole then.
    if (this.#over) throw new RpcError(Status.CANCELLED, 'the call is over')
    return next
  }

  #run(message: Buffer): void {
    try {
      if (this.#handler.kind === 'unary') {
        const answer = this.#handler.handle(message, this)
        if (answer instanceof Promise) this.#settle(answer)
        else this.#answer(answer)
      } else if (this.#handler.kind === 'sending') {
        const done = this.#handler.handle(message, this)
        if (done) this.#settle(done)
        else this.#complete()
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  #sendHeaders(): void {
    if (this.#headersSent) return
    this.#headersSent = true
    this.#stream.sendHeaders(HEADERS)
  }

  #settle(work: Promise<Buffer | void>): void {
    work.then(
      (answer) => (answer ? this.#answer(answer) : this.#complete()),
      (error: unknown) => this.#fail(error),
    )
  }
}
