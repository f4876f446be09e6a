import type {IncomingMessage, ServerResponse} from 'node:http'

import type {Fault, LoggedRequest} from './model.js'

const CODES: Readonly<Record<number, string>> = {
  400: 'DIGEST_INVALID',
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'NAME_UNKNOWN',
  405: 'UNSUPPORTED',
  413: 'SIZE_INVALID',
  416: 'BLOB_UPLOAD_INVALID',
  429: 'TOOMANYREQUESTS',
}

/** One request and its answer, with the fault that was planned for it. */
export class Exchange {
  readonly fault: Fault | undefined
  readonly log: LoggedRequest
  readonly method: string
  readonly request: IncomingMessage
  readonly url: URL
  readonly #response: ServerResponse
  readonly #violate: (text: string) => void

  constructor(options: {
    fault: Fault | undefined
    log: LoggedRequest
    request: IncomingMessage
    response: ServerResponse
    url: URL
    violate: (text: string) => void
  }) {
    this.fault = options.fault
    this.log = options.log
    this.request = options.request
    this.method = options.log.method
    this.url = options.url
    this.#response = options.response
    this.#violate = options.violate
  }

  /** The request's whole body; undefined when the connection ended before it did. */
  async body(): Promise<Buffer | undefined> {
    const chunks: Buffer[] = []
    const limit = this.fault?.dropRequestAfter
    try {
      for await (const chunk of this.request as AsyncIterable<Buffer>) {
        chunks.push(chunk)
        this.log.bodyBytes += chunk.length
        if (limit !== undefined && this.log.bodyBytes >= limit) {
          this.request.socket.destroy()
          return undefined
        }
      }
    } catch {
      return undefined
    }

    return this.request.complete ? Buffer.concat(chunks) : undefined
  }

  /** An error in the specification's form. */
  error(status: number, code = CODES[status] ?? 'UNKNOWN', message = `${code} by the fake`): void {
    this.send(status, {'content-type': 'application/json'}, JSON.stringify({errors: [{code, message}]}))
  }

  /** Answers, with the fault's changes applied. HEAD gets the headers alone. */
  send(status: number, headers: Record<string, string> = {}, content: Buffer | string = ''): void {
    if (this.#response.headersSent || this.#response.destroyed) return
    let body = Buffer.from(content)
    const {fault} = this
    if (fault?.mangle && status < 400) {
      body = Buffer.from(fault.mangle(body))
      delete headers['content-length']
    }

    const all: Record<string, string | undefined> = {
      'content-length': String(body.length),
      ...headers,
      ...fault?.headers,
    }
    this.log.status = status
    this.#response.writeHead(status, defined(all))
    if (this.method === 'HEAD') {
      this.#response.end()
      return
    }

    this.#sendBody(body)
  }

  /** Answers outside the normal course: what the fault asks for instead. */
  sendFault(fault: Fault): void {
    if (fault.endless && this.method !== 'HEAD') {
      this.log.status = fault.status ?? 200
      this.#response.writeHead(this.log.status, {'content-type': 'application/octet-stream'})
      this.#pour()
      return
    }

    const html = '<!DOCTYPE html><html><body><h1>Sign in to the network</h1></body></html>'
    const body = fault.html ? html : (fault.body ?? '')
    const type = fault.html ? 'text/html; charset=utf-8' : 'application/json'
    this.log.status = fault.status ?? 200
    this.#response.writeHead(this.log.status, defined({'content-type': type, ...fault.headers}))
    this.#response.end(this.method === 'HEAD' ? undefined : body)
  }

  violate(text: string): void {
    this.#violate(`${this.method} ${this.log.path}: ${text}`)
  }

  /** The last bytes written get a moment to leave. */
  #cut(): void {
    setTimeout(() => this.#response.destroy(), 5)
  }

  #pour(): void {
    const block = Buffer.alloc(64 * 1024, 0x20)
    const more = () => {
      while (!this.#response.destroyed && this.#response.write(block));
    }

    this.#response.on('drain', more)
    more()
  }

  #sendBody(body: Buffer): void {
    const {dropAfter, hang} = this.fault ?? {}
    if (typeof hang === 'number') {
      this.#response.write(body.subarray(0, hang))
      return
    }

    if (dropAfter === undefined) {
      this.#response.end(body)
      return
    }

    const part = body.subarray(0, dropAfter)
    if (part.length === 0) {
      this.#response.flushHeaders()
      this.#cut()
    } else this.#response.write(part, () => this.#cut())
  }
}

function defined(headers: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}
