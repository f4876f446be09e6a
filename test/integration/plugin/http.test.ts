import {expect} from 'chai'
import {type ClientHttp2Session, connect} from 'node:http2'
import {createConnection} from 'node:net'

import type {Handler} from '../../../src/plugin/rpc/call.js'

import {EMPTY_MESSAGE, getResponseHead} from '../../../src/plugin/messages.js'
import {pattern, type RpcService, serveRpc} from '../../helpers/rpc-service.js'

const MIB = 1024 * 1024

describe('gRPC server beside gRPC', () => {
  const body = pattern(8 * MIB)
  let http: ClientHttp2Session
  let methods: Map<string, Handler>
  let service: RpcService

  beforeEach(async () => {
    methods = new Map()
    service = await serveRpc(methods)
    http = connect('http://localhost', {createConnection: () => createConnection(service.path)})
    methods.set('/store.Store/Ping', {handle: () => EMPTY_MESSAGE, kind: 'unary'})
  })

  afterEach(async () => {
    await new Promise<void>((resolve) => {
      http.close(resolve)
    })
    await service.close()
    expect(service.failures).to.deep.equal([])
  })

  it('does not run ahead of a client that does not read', async () => {
    const sent: number[] = []
    methods.set('/store.Store/Get', {
      async handle(_, call) {
        for (let at = 0; at < body.length; at += MIB / 4) {
          const chunk = body.subarray(at, at + MIB / 4)
          sent.push(chunk.length)
          if (!call.send(getResponseHead(chunk.length), chunk)) await call.drained()
        }
      },
      kind: 'sending',
    })
    const stream = http.request({
      ':method': 'POST',
      ':path': '/store.Store/Get',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    stream.end(Buffer.alloc(5))
    await new Promise((resolve) => {
      stream.once('response', resolve)
    })
    for (let before = -1; sent.length !== before;) {
      before = sent.length
      await new Promise((resolve) => {
        setTimeout(resolve, 100)
      })
    }

    expect(sent.length * (MIB / 4)).to.be.lessThan(2 * MIB)
    let received = 0
    stream.on('data', (bytes: Buffer) => {
      received += bytes.length
    })
    await new Promise((resolve) => {
      stream.once('end', resolve)
    })
    expect(received).to.be.greaterThan(body.length)
    expect(sent).to.have.length(body.length / (MIB / 4))
  })

  async function request(headers: Record<string, string>, data?: Buffer): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      const stream = http.request({
        ':method': 'POST',
        ':path': '/store.Store/Ping',
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      })
      let answer: Record<string, unknown> = {}
      stream.on('response', (fields) => {
        answer = {...fields}
      })
      stream.on('trailers', (fields) => {
        answer = {...answer, ...fields}
      })
      stream.on('error', reject)
      stream.on('close', () => resolve(answer))
      stream.resume()
      stream.end(data)
    })
  }

  const cases: [string, Record<string, string>, Buffer | undefined, Record<string, unknown>][] = [
    ['a sound call', {}, Buffer.alloc(5), {':status': 200, 'grpc-status': '0'}],
    ['a content type with a suffix', {'content-type': 'application/grpc+proto'}, Buffer.alloc(5), {'grpc-status': '0'}],
    ['another method', {':method': 'GET'}, undefined, {':status': 405}],
    ['another content type', {'content-type': 'application/json'}, Buffer.alloc(5), {':status': 415}],
    [
      'a content type that only looks right',
      {'content-type': 'application/grpcish'},
      Buffer.alloc(5),
      {':status': 415},
    ],
    ['compressed messages', {'grpc-encoding': 'gzip'}, Buffer.alloc(5), {'grpc-status': '12'}],
    ['a message marked as compressed', {}, Buffer.from([1, 0, 0, 0, 0]), {'grpc-status': '12'}],
    ['a wrong timeout', {'grpc-timeout': 'soon'}, Buffer.alloc(5), {'grpc-status': '13'}],
    ['no message at all', {}, undefined, {'grpc-message': 'the request has no message', 'grpc-status': '13'}],
    ['half a message', {}, Buffer.from([0, 0, 0, 0, 9, 1]), {'grpc-message': 'the request ended inside a message'}],
    ['two messages', {}, Buffer.alloc(10), {':status': 200}],
  ]
  for (const [what, headers, data, answer] of cases) {
    it(`answers ${what}`, async () => {
      expect(await request(headers, data)).to.include(answer)
    })
  }
})
