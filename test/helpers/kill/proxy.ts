import http, {type IncomingMessage, type ServerResponse} from 'node:http'
import {type AddressInfo} from 'node:net'
import {buffer} from 'node:stream/consumers'

import {type Life} from './life.js'

/** What a proxy asks of a life. */
export type Steps = Pick<Life, 'onEnd' | 'step'>

/**
 * A registry as a mortal process sees it: each request is a step of its life. Once that is over every connection
 * breaks and no request gets through any more; the registry behind lives on. Works in front of any registry.
 */
export class MortalProxy {
  readonly #agent = new http.Agent({keepAlive: true})
  #life!: Steps
  readonly #server: http.Server
  readonly #target: {readonly host: string; readonly port: number}

  private constructor(target: string, life: Steps) {
    const [host = '', port = ''] = target.split(':')
    this.#target = {host, port: Number(port)}
    this.#server = http.createServer((request, response) => {
      this.#forward(request, response).catch(() => request.socket.destroy())
    })
    this.begin(life)
  }

  /** @param target `host:port` of the registry */
  static async start(target: string, life: Steps): Promise<MortalProxy> {
    const proxy = new MortalProxy(target, life)
    await new Promise<void>((resolve) => {
      proxy.#server.listen(0, '127.0.0.1', resolve)
    })
    return proxy
  }

  /** `host:port` to use in the registry's place. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Begins another life: requests get through again. */
  begin(life: Steps): void {
    this.#life = life
    life.onEnd(() => this.#server.closeAllConnections())
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#agent.destroy()
    await new Promise((resolve) => {
      this.#server.close(resolve)
    })
  }

  /** Sends half of a body, and hangs up. */
  async #cut(request: IncomingMessage, half: Buffer): Promise<void> {
    await new Promise<void>((resolve) => {
      const upstream = this.#open(request)
      upstream.on('error', () => resolve())
      upstream.on('close', () => resolve())
      upstream.write(half, () => upstream.destroy())
    })
  }

  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request)
    const half =
      body.length > 1 ? async () => this.#cut(request, body.subarray(0, Math.floor(body.length / 2))) : undefined
    const {headers, status, text} = await this.#life.step(async () => this.#send(request, body), half)
    response.writeHead(status, headers)
    response.end(text)
  }

  #open({headers, method, url}: IncomingMessage): http.ClientRequest {
    // Host stays as the client sent it, so that absolute addresses lead through here again.
    const {host, port} = this.#target
    return http.request({agent: this.#agent, headers, host, method, path: url, port})
  }

  async #send(request: IncomingMessage, body: Buffer) {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const upstream = this.#open(request)
      upstream.on('response', resolve)
      upstream.on('error', reject)
      upstream.end(body)
    })
    return {headers: answer.headers, status: answer.statusCode ?? 502, text: await buffer(answer)}
  }
}
