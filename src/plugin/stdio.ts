import {Console} from 'node:console'
import {writeSync} from 'node:fs'
import {type OnReadOpts, Socket} from 'node:net'

import type {ByteSink} from './h2/outbox.js'

/** How much is read from the host at once; a pipe holds 64 KiB. */
const READ_BYTES = 128 * 1024

const STDIN = 0
const STDOUT = 1

export interface HostPipeEvents {
  readonly onBytes: (bytes: Buffer) => void
  /** The host closed its end, or the pipe broke. Called once. */
  readonly onEnd: () => void
}

/**
 * The host's pipe: our stdin and stdout. From here on stdout belongs to the protocol: whatever else in the process
 * prints goes to stderr.
 */
export class HostPipe implements ByteSink {
  #ended = false
  readonly #input: Socket
  readonly #onEnd: () => void
  readonly #output: Socket

  constructor({onBytes, onEnd}: HostPipeEvents) {
    this.#onEnd = onEnd
    divertStdout()
    // The socket makes the pipe non-blocking, and waits for us when it is full.
    this.#output = new Socket({fd: STDOUT, readable: false, writable: true})
    this.#output.on('error', () => this.#end())
    const onread: OnReadOpts = {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback(length, bytes) {
        onBytes(Buffer.from(bytes.buffer, bytes.byteOffset, length))
        return true
      },
    }
    const options = {fd: STDIN, onread, readable: true, writable: false}
    this.#input = new Socket(options)
    this.#input.on('error', () => this.#end())
    this.#input.on('end', () => this.#end())
    this.#input.on('close', () => this.#end())
    this.#input.resume()
  }

  /** Writes at once what the pipe takes: one system call for a turn's frames, nothing queued, nothing allocated. */
  write(bytes: Buffer, start: number, end: number, done: () => void): boolean {
    let written = 0
    try {
      written = writeSync(STDOUT, bytes, start, end - start)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') {
        this.#end()
        return true
      }
    }

    if (start + written === end) return true
    this.#output.write(bytes.subarray(start + written, end), done)
    return false
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    // Later: what is written first may find the pipe broken while its writer is still being made.
    setImmediate(this.#onEnd)
  }
}

function divertStdout(): void {
  Object.defineProperty(process, 'stdout', {configurable: true, get: () => process.stderr})
  globalThis.console = new Console({stderr: process.stderr, stdout: process.stderr})
}
