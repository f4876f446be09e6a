import {Agent, createServer, request} from 'node:http'
import {type AddressInfo} from 'node:net'

/** Requests by what they do, as a registry sees them. */
export type RequestCounts = Record<string, number>

export interface CountingProxy {
  /** Bytes of response bodies that passed. */
  bytes(): number
  close(): Promise<void>
  counts(): RequestCounts
  /** `host:port` to use in place of the registry's. */
  readonly host: string
  reset(): void
  total(): number
}

const KINDS: ReadonlyArray<readonly [string, RegExp]> = [
  ['upload', /\/blobs\/uploads\//],
  ['blob', /\/blobs\//],
  ['manifest', /\/manifests\//],
  ['tags', /\/tags\/list/],
  ['ping', /^\/v2\/?$/],
]

function kindOf(method: string, url: string): string {
  const path = url.split('?')[0] ?? ''
  const kind = KINDS.find(([, form]) => form.test(path))?.[0] ?? 'other'
  return `${method} ${kind}`
}

/**
 * A proxy in front of a registry that counts requests and can hold each one back by a round trip.
 * It leaves Host as the client sent it, so that the registry's absolute Locations come back through the proxy.
 */
export async function startCountingProxy(target: string, delayMs = 0): Promise<CountingProxy> {
  const [host = '127.0.0.1', port = '80'] = target.split(':')
  const agent = new Agent({keepAlive: true, maxSockets: 256})
  let counts: RequestCounts = {}
  let bytes = 0

  const server = createServer((incoming, outgoing) => {
    const {headers, method = 'GET', url = '/'} = incoming
    const kind = kindOf(method, url)
    counts[kind] = (counts[kind] ?? 0) + 1
    const forward = () => {
      const upstream = request({agent, headers, host, method, path: url, port}, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length
        })
        answer.pipe(outgoing)
      })
      upstream.on('error', () => outgoing.destroy())
      outgoing.on('close', () => upstream.destroy())
      incoming.pipe(upstream)
    }

    if (delayMs > 0) setTimeout(forward, delayMs)
    else forward()
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })

  return {
    bytes: () => bytes,
    async close() {
      server.closeAllConnections()
      agent.destroy()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
    counts: () => ({...counts}),
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    reset() {
      counts = {}
      bytes = 0
    },
    total: () => Object.values(counts).reduce((sum, count) => sum + count, 0),
  }
}
