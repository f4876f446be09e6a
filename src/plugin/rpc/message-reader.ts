import {RpcError, Status} from './status.js'

/** The flag and length before each message. */
export const PREFIX_BYTES = 5

/** Memory of messages that are done with is kept for the next ones: so many of them, and only where they are not small. */
const MAX_SPARES = 4
const MIN_SPARE_BYTES = 4096

/** The usual limit of gRPC on one message. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024

/**
 * Cuts the data of a call into messages. A message that lies whole in the data is handed out as a view of it, valid
 * during the call only unless `copy` is set; others are put together in memory of their own, which `recycle` takes back.
 */
export class MessageReader {
  readonly #copy: boolean
  #filled = 0
  #message: Buffer | undefined
  readonly #onMessage: (message: Buffer) => void
  /** Made when a prefix is cut, which is rare. */
  #prefix: Buffer | undefined
  #prefixed = 0
  readonly #spares: Buffer[] = []

  constructor(onMessage: (message: Buffer) => void, options: {readonly copy: boolean}) {
    this.#onMessage = onMessage
    this.#copy = options.copy
  }

  /** Whether a message has begun that is not there yet. */
  get partial(): boolean {
    return this.#prefixed > 0
  }

  /** @throws RpcError on a compressed message or one that is too large, and what `onMessage` throws */
  push(data: Buffer): void {
    let at = 0
    while (at < data.length) {
      if (this.#message) at = this.#fill(data, at)
      else if (this.#prefixed === 0 && data.length - at >= PREFIX_BYTES) at = this.#begin(data, at)
      else {
        this.#prefix ??= Buffer.alloc(PREFIX_BYTES)
        this.#prefix[this.#prefixed++] = data[at++]!
        if (this.#prefixed === PREFIX_BYTES) this.#start(lengthOf(this.#prefix, 0))
      }
    }
  }

  /** The message is not needed any more: its memory serves another one. */
  recycle(message: Buffer): void {
    if (message.length < MIN_SPARE_BYTES || this.#spares.length >= MAX_SPARES) return
    this.#spares.push(Buffer.from(message.buffer))
  }

  #begin(data: Buffer, at: number): number {
    const length = lengthOf(data, at)
    const start = at + PREFIX_BYTES
    if (!this.#copy && data.length - start >= length) {
      this.#onMessage(data.subarray(start, start + length))
      return start + length
    }

    this.#prefixed = PREFIX_BYTES
    this.#start(length)
    return start
  }

  #fill(data: Buffer, at: number): number {
    const message = this.#message!
    const copied = data.copy(message, this.#filled, at, Math.min(data.length, at + message.length - this.#filled))
    this.#filled += copied
    if (this.#filled === message.length) this.#finish(message)
    return at + copied
  }

  #finish(message: Buffer): void {
    this.#message = undefined
    this.#prefixed = 0
    this.#onMessage(message)
  }

  #memory(length: number): Buffer {
    if (length < MIN_SPARE_BYTES) return Buffer.allocUnsafe(length)
    const index = this.#spares.findIndex((spare) => spare.length >= length)
    const [spare] = index === -1 ? [] : this.#spares.splice(index, 1)
    // Never a part of the pool that Node cuts small buffers from: what is recycled is the whole.
    return spare?.subarray(0, length) ?? Buffer.allocUnsafeSlow(length)
  }

  #start(length: number): void {
    this.#filled = 0
    this.#message = this.#memory(length)
    if (length === 0) this.#finish(this.#message)
  }
}

function lengthOf(bytes: Buffer, at: number): number {
  if (bytes[at] !== 0) throw new RpcError(Status.UNIMPLEMENTED, 'compressed messages are not supported')
  const length = bytes.readUInt32BE(at + 1)
  if (length > MAX_MESSAGE_BYTES) {
    throw new RpcError(Status.RESOURCE_EXHAUSTED, `a message of ${length} bytes is over the ${MAX_MESSAGE_BYTES} limit`)
  }

  return length
}
