import type {IncomingMessage} from 'node:http'
import type {Socket} from 'node:net'

import {ConnectionMemory} from './connection-memory.js'

/** Node's HTTP parser, as it stands behind a connection: what is used of it. */
type Parser = Record<string, unknown> & {readonly incoming?: unknown}

export interface RawBodyOptions {
  /**
   * Gets each piece. @returns whether there is room for more: without, nothing is read until `resume`, and a borrowed
   * piece stays as it is until then
   */
  readonly onPiece: (piece: Buffer) => boolean
  /** Bytes of the body that the message has not brought yet. */
  readonly remaining: number
  readonly source: IncomingMessage
}

/**
 * The middle of a long body, straight from its socket. Node's HTTP parser copies each piece of a body into memory of its
 * own, which takes longer than to read it and nearly as long as to hash it. Here the parser only counts, and the reader
 * gets the piece that the socket brought. The first bytes, the last ones and the end come by the message as ever: where
 * a body ends is the parser's word alone.
 */
export class RawBody {
  #isOver = false
  #isPaused = false
  readonly #key: string
  readonly #memory: ConnectionMemory | undefined
  readonly #onBody: unknown
  readonly #onData = (chunk: Buffer) => this.#take(chunk)
  readonly #onPiece: (piece: Buffer) => boolean
  readonly #parser: Parser
  #remaining: number
  readonly #socket: Socket
  readonly #stop = () => this.#giveBack()

  private constructor({onPiece, remaining, source}: RawBodyOptions, parser: Parser, key: string) {
    this.#onPiece = onPiece
    this.#remaining = remaining
    this.#parser = parser
    this.#key = key
    this.#onBody = parser[key]
    this.#socket = source.socket
    this.#memory = ConnectionMemory.of(source.socket)
    parser[key] = undefined
    this.#socket.prependListener('data', this.#onData)
    // Before Node's own listeners, which give the parser to the next connection.
    this.#socket.prependListener('end', this.#stop)
    this.#socket.prependListener('close', this.#stop)
  }

  /** @returns none where Node is not built as it is thought to be: then the message brings all */
  static of(options: RawBodyOptions): RawBody | undefined {
    const {remaining, source} = options
    const {parser} = source.socket as Socket & {parser?: Parser}
    if (source.complete || remaining <= 0 || parser?.incoming !== source) return undefined
    const key = Object.keys(parser).find((name) => /^\d+$/.test(name) && isBodyHandler(parser[name]))
    return key === undefined ? undefined : new RawBody(options, parser, key)
  }

  /** From now on pieces are large, and in memory that is used again: each may be used until `onPiece` has returned. */
  borrow(): void {
    if (!this.#isOver) this.#memory?.borrow()
  }

  /** Nothing is read until `resume`. */
  pause(): void {
    if (this.#isOver) return
    this.#isPaused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#memory?.release()
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#socket.resume()
  }

  /** From here on the parser hands on what it reads. */
  #giveBack(): void {
    this.#isOver = true
    this.#isPaused = false
    this.#memory?.giveBack()
    this.#parser[this.#key] = this.#onBody
    this.#socket.off('data', this.#onData)
    this.#socket.off('end', this.#stop)
    this.#socket.off('close', this.#stop)
  }

  #take(chunk: Buffer): void {
    if (chunk.length >= this.#remaining) {
      this.#giveBack()
      return
    }

    this.#remaining -= chunk.length
    if (this.#onPiece(chunk)) return
    this.#memory?.hold(chunk)
    this.pause()
  }
}

function isBodyHandler(value: unknown): boolean {
  return typeof value === 'function' && value.name === 'parserOnBody'
}
