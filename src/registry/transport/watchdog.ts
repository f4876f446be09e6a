import type {ClientRequest} from 'node:http'
import type {Socket} from 'node:net'
import type {TLSSocket} from 'node:tls'

import {ProxyRefusedError, TimeoutError} from './failures.js'

export interface WatchdogLimits {
  readonly connect: number
  readonly idle: number
  readonly response: number
}

/**
 * Ends a request on which nothing moves: while it connects, while its body is sent, while its answer is awaited.
 * Waiting for a free connection of the pool is not timed. `stop` it when the answer has come.
 */
export class Watchdog {
  readonly #isLong: boolean
  readonly #limits: WatchdogLimits
  readonly #request: ClientRequest
  #stopped = false
  #timer: NodeJS.Timeout | undefined

  /** @param isLong whether there is content that takes time to send */
  constructor(request: ClientRequest, limits: WatchdogLimits, {isLong}: {readonly isLong: boolean}) {
    this.#request = request
    this.#limits = limits
    this.#isLong = isLong
    request.once('socket', (socket) => this.#onSocket(socket as TLSSocket))
    if (isLong) {
      request.once('finish', () => {
        if (request.socket && !isConnecting(request.socket as TLSSocket)) this.#awaitAnswer()
      })
    }

    request.once('close', () => this.stop())
    // Without this the proxy's refusal would be taken for the registry's answer, challenges and all.
    request.once('proxyConnect', ({statusCode}: {statusCode: number}) => {
      if (statusCode !== 200) request.destroy(new ProxyRefusedError(statusCode))
    })
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #arm(milliseconds: number, what: string): void {
    this.#schedule(milliseconds, () => this.#expire(what, milliseconds))
  }

  #awaitAnswer(): void {
    this.#arm(this.#limits.response, 'no answer came for')
  }

  #expire(what: string, milliseconds: number): void {
    this.#request.destroy(new TimeoutError(`${what} ${milliseconds / 1000} s`))
  }

  #onConnected(socket: Socket): void {
    if (this.#isLong && !this.#request.writableFinished) this.#watchSending(socket)
    else this.#awaitAnswer()
  }

  #onSocket(socket: TLSSocket): void {
    if (!isConnecting(socket)) {
      this.#onConnected(socket)
      return
    }

    this.#arm(this.#limits.connect, 'no connection came about for')
    const ready = 'encrypted' in socket ? 'secureConnect' : 'connect'
    const onReady = () => this.#onConnected(socket)
    socket.once(ready, onReady)
    this.#request.once('close', () => socket.off(ready, onReady))
  }

  #schedule(milliseconds: number, action: () => void): void {
    clearTimeout(this.#timer)
    if (!this.#stopped) this.#timer = setTimeout(action, milliseconds)
  }

  /** Looks four times per limit whether bytes went out; the answer's own limit begins when all of them have. */
  #watchSending(socket: Socket): void {
    const {idle} = this.#limits
    let seen = socket.bytesWritten
    let still = 0
    const look = () => {
      if (this.#request.writableFinished) {
        this.#awaitAnswer()
        return
      }

      still = socket.bytesWritten === seen ? still + 1 : 0
      seen = socket.bytesWritten
      if (still >= 4) this.#expire('no byte of the request could be sent for', idle)
      else this.#schedule(idle / 4, look)
    }

    this.#schedule(idle / 4, look)
  }
}

function isConnecting(socket: TLSSocket & {secureConnecting?: boolean}): boolean {
  return socket.connecting || Boolean(socket.secureConnecting)
}
