import type {OnReadOpts, Socket} from 'node:net'

/** What is read at once as a rule: copied out before anything else is read, so that all connections can share it. */
const SHARED_BYTES = 64 * 1024

/** What is read at once of a long body: small enough to stay in a processor's cache. */
const LARGE_BYTES = 512 * 1024

let shared: Buffer | undefined

/**
 * Where a connection's bytes are read to. Node takes new memory for every 64 KiB, which costs more than to read them;
 * here the same memory is used again. What comes in is copied out of it, in just its size, unless the reader of a long
 * body has asked to borrow it: that one gets large pieces, each of which stays as it is until it is told to be done with.
 */
export class ConnectionMemory {
  static readonly #all = new WeakMap<Socket, ConnectionMemory>()

  #held: Buffer | undefined
  #isBorrowed = false
  #large: Buffer[] = []

  /**
   * Makes a connection that reads into memory which is used again.
   * @param make from the options, which say so
   */
  static connect<O extends object>(options: O, make: (options: O) => Socket): Socket {
    const memory = new ConnectionMemory()
    const onread: OnReadOpts = {
      buffer: () => memory.#next(),
      callback: (count, buffer) => memory.#give(socket, buffer as Buffer, count),
    }
    const socket = make({...options, onread})
    ConnectionMemory.#all.set(socket, memory)
    return socket
  }

  /** @returns none for a connection that Node reads in its own way */
  static of(socket: Socket): ConnectionMemory | undefined {
    return ConnectionMemory.#all.get(socket)
  }

  /** From now on who listens to the connection's data gets the memory itself, and may use it until it returns. */
  borrow(): void {
    this.#isBorrowed = true
  }

  giveBack(): void {
    this.#isBorrowed = false
    this.#held = undefined
    this.#large = []
  }

  /** The piece is still in use: its memory is not read into before `release`. */
  hold(piece: Buffer): void {
    this.#held = this.#large.find(({buffer}) => buffer === piece.buffer)
  }

  release(): void {
    this.#held = undefined
  }

  /** @returns whether more is wanted now */
  #give(socket: Socket, buffer: Buffer, count: number): boolean {
    const bytes = buffer.subarray(0, count)
    // What would wait in the stream must not be written over.
    const isRead = socket.readableFlowing === true && socket.readableLength === 0
    if (!isRead || !this.#large.includes(buffer)) return socket.push(Buffer.from(bytes))
    socket.emit('data', bytes)
    return true
  }

  #next(): Buffer {
    if (!this.#isBorrowed) {
      shared ??= Buffer.allocUnsafeSlow(SHARED_BYTES)
      return shared
    }

    const free = this.#large.find((one) => one !== this.#held)
    if (free) return free
    const made = Buffer.allocUnsafeSlow(LARGE_BYTES)
    this.#large.push(made)
    return made
  }
}
