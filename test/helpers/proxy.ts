import http from 'node:http'
import https, {type ServerOptions} from 'node:https'
import net, {type AddressInfo, type Socket} from 'node:net'

export interface TestProxyOptions {
  /** `user:password` that must be shown. */
  readonly login?: string
  /** Takes the connection and says nothing. */
  readonly mute?: boolean
  /** Sends this instead of an answer to CONNECT. */
  readonly reply?: string
  /** Speaks TLS itself. */
  readonly tls?: ServerOptions
}

/** A forward proxy that leads every host name to the loopback interface, and notes what it was asked for. */
export class TestProxy {
  /** `CONNECT host:port` and `GET http://…`, in their order. */
  readonly asked: string[] = []
  /** Headers that came with them. */
  readonly headers: http.IncomingHttpHeaders[] = []
  readonly #scheme: string
  readonly #server: http.Server

  readonly #sockets = new Set<Socket>()

  private constructor({login, mute, reply, tls}: TestProxyOptions) {
    this.#scheme = tls ? 'https' : 'http'
    const allowed = (headers: http.IncomingHttpHeaders) =>
      login === undefined || headers['proxy-authorization'] === `Basic ${Buffer.from(login).toString('base64')}`
    const onRequest: http.RequestListener = (request, response) => {
      this.#note(request)
      if (!allowed(request.headers)) {
        response.writeHead(407).end()
        return
      }

      const target = new URL(request.url ?? '')
      const headers = {...request.headers}
      delete headers['proxy-authorization']
      const onward = http.request(
        {headers, host: '127.0.0.1', method: request.method, path: target.pathname + target.search, port: target.port},
        (answer) => {
          response.writeHead(answer.statusCode ?? 500, answer.headers)
          answer.pipe(response)
        },
      )
      request.pipe(onward)
    }

    this.#server = tls ? https.createServer(tls, onRequest) : http.createServer(onRequest)
    this.#server.on('connect', (request, socket: Socket, head) => {
      this.#note(request)
      this.#sockets.add(socket)
      socket.on('error', () => {})
      if (mute) return
      if (reply !== undefined || !allowed(request.headers)) {
        socket.end(reply ?? 'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n')
        return
      }

      const onward = net.connect(Number(request.url?.split(':').at(-1)), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        onward.write(head)
        socket.pipe(onward).pipe(socket)
      })
      this.#sockets.add(onward)
      onward.on('error', () => socket.destroy())
    })
  }

  static async start(options: TestProxyOptions = {}): Promise<TestProxy> {
    const proxy = new TestProxy(options)
    await new Promise<void>((resolve) => {
      proxy.#server.listen(0, '127.0.0.1', resolve)
    })
    return proxy
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.closeAllConnections()
    await new Promise((resolve) => {
      this.#server.close(resolve)
    })
  }

  #note({headers, method, url}: http.IncomingMessage): void {
    this.asked.push(`${method} ${url}`)
    this.headers.push(headers)
  }
}
