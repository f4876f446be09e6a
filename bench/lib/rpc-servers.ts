/**
 * One gRPC service over stdin and stdout, by one of three servers. It answers Get with as many bytes as the range is
 * long, from memory. Usage: rpc-servers.ts ours|grpc-js|http2
 */
/* eslint-disable n/no-process-exit, unicorn/no-process-exit -- a program of its own, which ends with its pipe */
import {loadPackageDefinition, Server, ServerCredentials, type ServiceDefinition} from '@grpc/grpc-js'
import {loadSync} from '@grpc/proto-loader'
import {performServerHandshake, type ServerHttp2Stream} from 'node:http2'
import {Duplex} from 'node:stream'

import type {Handler, Sending} from '../../src/plugin/rpc/call.js'

import {Session} from '../../src/plugin/h2/session.js'
import {decodeGet, getResponseHead} from '../../src/plugin/messages.js'
import {RpcServer} from '../../src/plugin/rpc/server.js'
import {RpcError, Status} from '../../src/plugin/rpc/status.js'
import {HostPipe} from '../../src/plugin/stdio.js'

const PROTO = new URL('../../src/plugin/store.proto', import.meta.url).pathname
const MEMORY = Buffer.alloc(4 * 1024 * 1024, 1)

function ours(): void {
  const get: Handler = {
    handle(request: Buffer, call: Sending) {
      const chunk = MEMORY.subarray(0, decodeGet(request).range?.length)
      call.send(getResponseHead(chunk.length), chunk)
    },
    kind: 'sending',
  }
  const server = new RpcServer({
    mapError: (error) => new RpcError(Status.INTERNAL, String(error)),
    methods: new Map([['/store.Store/Get', get]]),
  })
  const pipe = new HostPipe({
    onBytes: (bytes) => session.receive(bytes),
    onEnd: () => process.exit(),
  })
  const session = new Session({
    onError: () => process.exit(1),
    onRequest: (stream, head) => server.request(stream, head),
    sink: pipe,
  })
}

function unused(): void {}

function stdio(): Duplex {
  process.stdin.on('end', () => process.exit())
  return Duplex.from({readable: process.stdin, writable: process.stdout})
}

/** As the service would be written without a thought of speed: Google's library, messages by its loader. */
function grpcJs(): void {
  const definition = loadPackageDefinition(loadSync(PROTO, {keepCase: true, longs: Number}))
  const {Store} = definition['store'] as unknown as {Store: {service: ServiceDefinition}}
  const server = new Server()
  server.addService(Store.service, {
    ...Object.fromEntries(Object.keys(Store.service).map((name) => [name, unused])),
    Get(call: {end(): void; request: {range: {length: number}}; write(message: object): void}) {
      call.write({chunk: MEMORY.subarray(0, call.request.range.length)})
      call.end()
    },
  })
  server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(stdio())
}

/** Node's HTTP/2, and of gRPC no more than the messages need; the protocol buffers are ours. */
function nodeHttp2(): void {
  const session = performServerHandshake(stdio())
  session.on('stream', (stream: ServerHttp2Stream) => {
    const parts: Buffer[] = []
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.on('end', () => {
      const chunk = MEMORY.subarray(0, decodeGet(Buffer.concat(parts).subarray(5)).range?.length)
      const head = getResponseHead(chunk.length)
      const prefix = Buffer.alloc(5)
      prefix.writeUInt32BE(head.length + chunk.length, 1)
      stream.respond({':status': 200, 'content-type': 'application/grpc'}, {waitForTrailers: true})
      stream.on('wantTrailers', () => stream.sendTrailers({'grpc-status': '0'}))
      stream.end(Buffer.concat([prefix, head, chunk]))
    })
  })
}

const servers: Readonly<Record<string, () => void>> = {'grpc-js': grpcJs, http2: nodeHttp2, ours}
servers[process.argv[2] ?? '']!()
