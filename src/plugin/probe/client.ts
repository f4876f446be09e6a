import {type ChildProcess, spawn} from 'node:child_process'
import {type ClientHttp2Session, type ClientHttp2Stream, connect, constants, type IncomingHttpHeaders} from 'node:http2'
import {Duplex} from 'node:stream'

import {KlosetOciError, messageOf} from '../../errors.js'
import {Status} from '../rpc/status.js'

/** Bytes before each message: a flag and its length. */
const PREFIX_BYTES = 5

/** Init contacts nobody; what else takes longer than this does not come at all. */
const INIT_MS = 15_000
const CALL_MS = 300_000

/** Answers and complaints of a plugin are small; what is longer is not one. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024
const MAX_STDERR_CHARS = 4000

/** A call that the plugin answered with an error. */
export class CallError extends Error {
  /** Status of gRPC. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = 'CallError'
    this.status = status
  }
}

export interface PluginCommand {
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv | undefined
  readonly program: string
}

/** A plugin as plakar runs it: a child process, and calls over its stdin and stdout. For looking at one, not for work. */
export class PluginClient {
  readonly #child: ChildProcess
  readonly #exit: Promise<string>
  #gone: string | undefined
  readonly #http: ClientHttp2Session
  #stderr = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    child.stderr!.on('data', (chunk: Buffer) => {
      if (this.#stderr.length < MAX_STDERR_CHARS) this.#stderr += chunk.toString()
    })
    child.stdin!.on('error', () => {})
    this.#exit = new Promise((resolve) => {
      const ended = (how: string) => {
        this.#gone = how
        this.#http.destroy()
        resolve(how)
      }

      child.once('error', (error) => ended(messageOf(error)))
      child.once('close', (code, signal) => ended(`it ended with ${signal ?? `status ${code}`}`))
    })
    const pipes = Duplex.from({readable: child.stdout!, writable: child.stdin!})
    pipes.on('error', () => {})
    this.#http = connect('http://plugin', {createConnection: () => pipes})
    this.#http.on('error', () => {})
  }

  static start({args, env, program}: PluginCommand): PluginClient {
    return new PluginClient(spawn(program, args, {env, stdio: 'pipe'}))
  }

  /** What the plugin wrote to its stderr, which is the user's terminal under plakar. */
  get stderr(): string {
    return this.#stderr.slice(0, MAX_STDERR_CHARS)
  }

  /**
   * One call with one message each way.
   * @throws CallError when the plugin answered with an error, KlosetOciError when it did not answer
   */
  async call(method: string, message: Buffer, options: {signal?: AbortSignal | undefined} = {}): Promise<Buffer> {
    options.signal?.throwIfAborted()
    const timeout = AbortSignal.timeout(method === 'Init' ? INIT_MS : CALL_MS)
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout
    const stream = this.#http.request(
      {
        ':method': 'POST',
        ':path': `/store.Store/${method}`,
        'content-type': 'application/grpc',
        te: 'trailers',
      },
      {signal},
    )
    const lead = Buffer.alloc(PREFIX_BYTES)
    lead.writeUInt32BE(message.length, 1)
    stream.end(Buffer.concat([lead, message]))
    try {
      return await answerOf(stream)
    } catch (error) {
      options.signal?.throwIfAborted()
      if (error instanceof CallError) throw error
      if (timeout.aborted) throw this.#noAnswer(new Error('it took too long'))
      await Promise.race([
        this.#exit,
        new Promise((resolve) => {
          setTimeout(resolve, 200)
        }),
      ])
      throw this.#noAnswer(error)
    }
  }

  /** Closes the pipe as plakar does when it ends. @returns how the process ended; it is killed when it stays */
  async close(graceMs = 6000): Promise<string> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs)
    this.#http.destroy()
    this.#child.stdin!.end()
    const how = await this.#exit
    clearTimeout(timer)
    return how
  }

  #noAnswer(error: unknown): KlosetOciError {
    const said = this.#stderr.trim().slice(0, 500)
    const how = this.#gone ?? messageOf(error)
    return new KlosetOciError('PROTOCOL', `the plugin did not answer: ${how}${said === '' ? '' : `: ${said}`}`, {
      cause: error,
    })
  }
}

async function answerOf(stream: ClientHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  let headers: IncomingHttpHeaders = {}
  stream.on('response', (fields) => {
    headers = {...headers, ...fields}
  })
  stream.on('trailers', (fields) => {
    headers = {...headers, ...fields}
  })
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) stream.close(constants.NGHTTP2_CANCEL)
    else chunks.push(chunk)
  })
  await new Promise<void>((resolve, reject) => {
    stream.once('error', reject)
    stream.once('close', resolve)
  })
  const status = headers['grpc-status']
  if (status === undefined) throw new Error('the answer is not one of gRPC')
  if (Number(status) !== Status.OK) throw new CallError(Number(status), textOf(headers['grpc-message']))
  const body = Buffer.concat(chunks)
  if (body.length < PREFIX_BYTES || body.readUInt32BE(1) !== body.length - PREFIX_BYTES) {
    throw new Error('the answer is not one message')
  }

  return body.subarray(PREFIX_BYTES)
}

function textOf(field: string | string[] | undefined): string {
  const text = String(field ?? '')
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
