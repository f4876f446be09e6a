import {type ChannelOptions, type Client, credentials, loadPackageDefinition, type ServiceError} from '@grpc/grpc-js'
import {loadSync} from '@grpc/proto-loader'
import {randomBytes} from 'node:crypto'
import {createServer, type Server, type Socket} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import type {ByteSink} from '../../src/plugin/h2/outbox.js'

const PROTO = new URL('../../src/plugin/store.proto', import.meta.url).pathname

/* The generated client has no types: calls are by name. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type StoreClient = Client & Record<string, (...args: any[]) => any>

/** A real gRPC client of the store's service, on a Unix socket. */
export function storeClient(path: string, options: ChannelOptions = {}): StoreClient {
  const definition = loadSync(PROTO, {defaults: true, keepCase: true, longs: Number})
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
  const {Store} = (loadPackageDefinition(definition) as any).store
  return new Store(`unix:${path}`, credentials.createInsecure(), options) as StoreClient
}

/** One unary call. */
export async function ask<T = Record<string, unknown>>(
  client: StoreClient,
  method: string,
  request: object = {},
  options: object = {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    client[method]!(request, options, (error: null | ServiceError, answer: T) => {
      if (error) reject(error)
      else resolve(answer)
    })
  })
}

/** A Put: the naming message, then the chunks, waiting when the client's buffer is full. */
export async function put(client: StoreClient, name: object, chunks: Iterable<Buffer>): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = client['Put']!((error: null | ServiceError, answer: {bytes_written: number}) => {
      if (error) reject(error)
      else resolve(answer.bytes_written)
    })
    const write = async () => {
      call.write(name)
      for (const chunk of chunks) {
        if (call.write({chunk})) continue
        await new Promise((drained) => {
          call.once('drain', drained)
        })
      }

      call.end()
    }

    write().catch(reject)
  })
}

/** A Get, whole. */
export async function get(client: StoreClient, request: object): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const call = client['Get']!(request)
    const chunks: Buffer[] = []
    call.on('data', ({chunk}: {chunk: Buffer}) => chunks.push(chunk))
    call.on('error', reject)
    call.on('end', () => resolve(Buffer.concat(chunks)))
  })
}

/** The status and text of a call that has to fail. */
export async function failureOf(work: Promise<unknown>): Promise<{code: number; text: string}> {
  try {
    await work
  } catch (error) {
    const {code, details} = error as ServiceError
    return {code, text: details}
  }

  throw new Error('the call did not fail')
}

export interface Listening {
  close(): Promise<void>
  readonly path: string
}

/** A Unix socket that gives each connection to `onConnection`. */
export async function listen(onConnection: (socket: Socket) => void): Promise<Listening> {
  const path = join(tmpdir(), `kloset-oci-${randomBytes(6).toString('hex')}.sock`)
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    onConnection(socket)
  })
  await new Promise<void>((resolve) => {
    server.listen(path, resolve)
  })
  return {
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
    path,
  }
}

/** A socket as the sink of a session: whatever it does not take at once is kept until it has. */
export function socketSink(socket: Socket): ByteSink {
  return {
    write(bytes, start, end, done) {
      const copy = Buffer.from(bytes.subarray(start, end))
      if (socket.write(copy)) return true
      socket.once('drain', done)
      return false
    },
  }
}
