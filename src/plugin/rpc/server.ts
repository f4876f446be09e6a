import type {RequestHead} from '../h2/request-head.js'
import type {Stream} from '../h2/stream.js'

import {encodeHeaders} from '../h2/hpack.js'
import {Call, type ErrorMapper, type Handler} from './call.js'
import {encodeMessage, parseTimeout, Status, type StatusCode} from './status.js'

export interface RpcServerOptions {
  readonly mapError: ErrorMapper
  /** By path: `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, Handler>
}

const NOT_ALLOWED = encodeHeaders('none', [[':status', '405']])
const NOT_GRPC = encodeHeaders('none', [[':status', '415']])

/** Takes the requests of a session for gRPC calls and starts their handlers. */
export class RpcServer {
  readonly #mapError: ErrorMapper
  readonly #methods: ReadonlyMap<string, Handler>

  constructor(options: RpcServerOptions) {
    this.#mapError = options.mapError
    this.#methods = options.methods
  }

  request(stream: Stream, head: RequestHead): void {
    if (head.method !== 'POST') {
      stream.end(NOT_ALLOWED)
      return
    }

    if (!isGrpc(head.fields.get('content-type'))) {
      stream.end(NOT_GRPC)
      return
    }

    const handler = this.#methods.get(head.path)
    if (!handler) {
      refuse(stream, Status.UNIMPLEMENTED, `no method ${head.path.slice(0, 200)}`)
      return
    }

    const encoding = head.fields.get('grpc-encoding')
    if (encoding !== undefined && encoding !== 'identity') {
      refuse(stream, Status.UNIMPLEMENTED, `messages in ${encoding.slice(0, 50)} are not supported`)
      return
    }

    const call = new Call(stream, handler, this.#mapError)
    stream.consumer = call
    const timeout = head.fields.get('grpc-timeout')
    if (timeout !== undefined) {
      const milliseconds = parseTimeout(timeout)
      if (milliseconds === undefined) {
        stream.consumer = undefined
        refuse(stream, Status.INTERNAL, 'a wrong grpc-timeout field')
        return
      }

      call.limit(milliseconds)
    }

    call.start()
  }
}

function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(?:$|[+;])/.test(contentType)
}

function refuse(stream: Stream, status: StatusCode, message: string): void {
  stream.end(
    encodeHeaders(200, [
      ['content-type', 'application/grpc'],
      ['grpc-status', String(status)],
      ['grpc-message', encodeMessage(message)],
    ]),
  )
}
