import type {Handler} from '../../src/plugin/rpc/call.js'

import {Session} from '../../src/plugin/h2/session.js'
import {RpcServer} from '../../src/plugin/rpc/server.js'
import {RpcError, Status} from '../../src/plugin/rpc/status.js'
import {listen, type Listening, socketSink} from './grpc-client.js'

export interface RpcService extends Listening {
  /** Connections that broke. */
  readonly failures: string[]
  readonly sessions: Session[]
}

/** The gRPC server of the plugin with handlers of the test, on a Unix socket. */
export async function serveRpc(methods: ReadonlyMap<string, Handler>): Promise<RpcService> {
  const failures: string[] = []
  const sessions: Session[] = []
  const server = new RpcServer({
    mapError: (error) => new RpcError(Status.INTERNAL, `mapped: ${(error as Error).message}`),
    methods,
  })
  const listening = await listen((socket) => {
    const session = new Session({
      onError: (error) => failures.push(error.message),
      onRequest: (stream, head) => server.request(stream, head),
      sink: socketSink(socket),
    })
    sessions.push(session)
    socket.on('data', (bytes) => session.receive(bytes))
    socket.on('close', () => session.close('the socket has closed'))
  })
  return {...listening, failures, sessions}
}

/** Bytes that differ from place to place. */
export function pattern(bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; at++) buffer[at] = at * 31 + Math.floor(at / 256)
  return buffer
}
