import {once} from 'node:events'
import net, {type AddressInfo, type Socket} from 'node:net'
import {Readable} from 'node:stream'

import type {RequestEvent, Timeouts} from '../../src/registry/transport/options.js'

import {AxiosClient} from '../../src/registry/transport/axios-client.js'
import {tlsConnectOptions} from '../../src/registry/transport/tls.js'
import {type ContentSource} from '../../src/util/content-source.js'
import {closeServers} from './http-server.js'

export interface WireOptions {
  readonly concurrency?: number
  readonly timeouts?: Timeouts
  readonly userAgent?: string
}

/** Clients without retries, and servers below HTTP, all of which `close` ends. */
export class Wire {
  /** What the clients reported, in its order. */
  readonly events: RequestEvent[] = []
  readonly #clients: AxiosClient[] = []
  readonly #servers: net.Server[] = []
  readonly #sockets = new Set<Socket>()

  client(options: WireOptions = {}): AxiosClient {
    const client = new AxiosClient({
      ...options,
      onRequest: (event) => this.events.push(event),
      tls: tlsConnectOptions(),
    })
    this.#clients.push(client)
    return client
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close()
    for (const socket of this.#sockets) socket.destroy()
    for (const server of this.#servers) server.close()
    await closeServers()
  }

  /** What it does with a connection is up to the test; connections are counted from 1. */
  async server(onSocket: (socket: Socket, count: number) => void): Promise<URL> {
    let count = 0
    const server = net.createServer((socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      onSocket(socket, ++count)
    })
    this.#servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  }
}

/** A source that yields zeros for as long as it is read, and tells how many. */
export class ZeroSource implements ContentSource {
  produced = 0
  readonly size: number
  readonly streams: Readable[] = []

  constructor(size = 1024 ** 3) {
    this.size = size
  }

  open(): Readable {
    const stream = new Readable({
      read: () => {
        this.produced += 65_536
        stream.push(Buffer.alloc(65_536))
      },
    })
    this.streams.push(stream)
    return stream
  }
}
