import {Metadata, status} from '@grpc/grpc-js'
import {expect} from 'chai'

import type {Handler} from '../../../src/plugin/rpc/call.js'

import {
  decodeGet,
  decodePut,
  EMPTY_MESSAGE,
  encodeConfig,
  encodeList,
  encodeNumber,
  getResponseHead,
} from '../../../src/plugin/messages.js'
import {RpcError, Status} from '../../../src/plugin/rpc/status.js'
import {ask, failureOf, get, put, storeClient, type StoreClient} from '../../helpers/grpc-client.js'

const MIB = 1024 * 1024

import {pattern, type RpcService, serveRpc} from '../../helpers/rpc-service.js'

describe('gRPC server', () => {
  const body = pattern(36 * MIB)
  let client: StoreClient
  let service: RpcService
  let methods: Map<string, Handler>

  beforeEach(async () => {
    methods = new Map()
    service = await serveRpc(methods)
    client = storeClient(service.path)
  })

  afterEach(async () => {
    client.getChannel().close()
    await service.close()
    expect(service.failures).to.deep.equal([])
    for (const session of service.sessions) expect(session.active).to.equal(0)
  })

  function serve(name: string, handler: Handler): void {
    methods.set(`/store.Store/${name}`, handler)
  }

  it('answers unary calls, at once and later', async () => {
    serve('Ping', {handle: () => EMPTY_MESSAGE, kind: 'unary'})
    serve('Size', {handle: async () => encodeNumber(2 ** 40), kind: 'unary'})
    serve('Mode', {handle: async () => encodeNumber(-1), kind: 'unary'})
    serve('Open', {handle: async () => encodeConfig(Buffer.from('some bytes')), kind: 'unary'})
    expect(await ask(client, 'Ping')).to.deep.equal({})
    expect(await ask(client, 'Size')).to.deep.equal({size: 2 ** 40})
    expect(await ask(client, 'Mode')).to.deep.equal({mode: -1})
    expect(await ask(client, 'Open')).to.deep.equal({config: Buffer.from('some bytes')})
  })

  it('answers a thousand calls that are under way together, each with its own', async () => {
    serve('Get', {
      async handle(request, call) {
        const {range} = decodeGet(request)
        const chunk = body.subarray(range!.offset, range!.offset + range!.length)
        if (range!.offset % 2 === 1)
          await new Promise((resolve) => {
            setImmediate(resolve)
          })
        call.send(getResponseHead(chunk.length), chunk)
      },
      kind: 'sending',
    })
    const ranges = Array.from({length: 1000}, (_, index) => ({
      length: 1 + ((index * 37) % 30_000),
      offset: index * 1001,
    }))
    const answers = await Promise.all(ranges.map(async (range) => get(client, {mac: Buffer.alloc(32), range, type: 1})))
    for (const [index, {length, offset}] of ranges.entries()) {
      expect(answers[index]!.equals(body.subarray(offset, offset + length)), `answer ${index}`).to.equal(true)
    }
  })

  it('streams a large answer', async () => {
    serve('Get', {
      async handle(_, call) {
        for (let at = 0; at < body.length; at += MIB) {
          const chunk = body.subarray(at, at + MIB)
          if (!call.send(getResponseHead(chunk.length), chunk)) await call.drained()
        }
      },
      kind: 'sending',
    })
    const answer = await get(client, {mac: Buffer.alloc(32), type: 1})
    expect(answer.equals(body)).to.equal(true)
  })

  it('takes a large request without letting it run ahead of the handler', async () => {
    let taken = 0
    let open!: () => void
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const parts: Buffer[] = []
    serve('Put', {
      async handle(call) {
        call.widen(256 * 1024)
        await gate
        for (let message = await call.next(); message; message = await call.next()) {
          taken++
          parts.push(decodePut(message).chunk)
        }

        return encodeNumber(parts.reduce((sum, {length}) => sum + length, 0))
      },
      kind: 'receiving',
    })
    const slices = Array.from({length: 36 * 4}, (_, index) =>
      body.subarray(index * 256 * 1024, (index + 1) * 256 * 1024),
    )
    const written = put(client, {mac: Buffer.alloc(32), type: 1}, slices)
    await new Promise((resolve) => {
      setTimeout(resolve, 100)
    })
    expect(taken).to.equal(0)
    open()
    expect(await written).to.equal(body.length)
    expect(Buffer.concat(parts).equals(body)).to.equal(true)
  })

  it('takes messages of any size, the empty one too', async () => {
    const sizes: number[] = []
    serve('Put', {
      async handle(call) {
        for (let message = await call.next(); message; message = await call.next())
          sizes.push(decodePut(message).chunk.length)
        return encodeNumber(sizes.length)
      },
      kind: 'receiving',
    })
    const wanted = [0, 1, 5, 16_370, 16_384, 16_385, 65_535, 65_536, MIB, 0, 4 * MIB - 100]
    await put(
      client,
      {mac: Buffer.alloc(0), type: 0},
      wanted.map((size) => Buffer.alloc(size)),
    )
    expect(sizes).to.deep.equal([0, ...wanted])
  })

  it('tells the client what went wrong, whatever letters it is written in', async () => {
    serve('Ping', {
      handle() {
        throw new RpcError(Status.NOT_FOUND, 'größer als 100% – недоступно\n€')
      },
      kind: 'unary',
    })
    serve('Size', {
      async handle() {
        throw new Error('later')
      },
      kind: 'unary',
    })
    serve('Get', {
      async handle(_, call) {
        call.send(getResponseHead(3), Buffer.from('abc'))
        throw new Error('in the middle')
      },
      kind: 'sending',
    })
    expect(await failureOf(ask(client, 'Ping'))).to.deep.equal({
      code: status.NOT_FOUND,
      text: 'größer als 100% – недоступно\n€',
    })
    expect(await failureOf(ask(client, 'Size'))).to.deep.equal({code: status.INTERNAL, text: 'mapped: later'})
    expect(await failureOf(get(client, {}))).to.deep.equal({code: status.INTERNAL, text: 'mapped: in the middle'})
  })

  it('answers an unknown method, and a message that is no message', async () => {
    expect((await failureOf(ask(client, 'Close'))).code).to.equal(status.UNIMPLEMENTED)
    serve('Get', {
      handle(request) {
        decodeGet(request)
      },
      kind: 'sending',
    })
    const raw = client.makeServerStreamRequest(
      '/store.Store/Get',
      () => Buffer.from('ffffffff', 'hex'),
      (bytes) => bytes,
      {},
    )
    const failure = await new Promise<{code: number; details: string}>((resolve) => {
      raw.on('error', (error) => {
        resolve(error as unknown as {code: number; details: string})
      })
    })
    expect(failure.code).to.equal(status.INVALID_ARGUMENT)
    expect(failure.details).to.match(/not a sound message/)
  })

  it('refuses messages over the limit in both directions', async () => {
    serve('Put', {
      async handle(call) {
        while (await call.next());
        return EMPTY_MESSAGE
      },
      kind: 'receiving',
    })
    serve('List', {handle: () => encodeList(Array.from({length: 130_000}, () => 'ab'.repeat(32))), kind: 'unary'})
    expect((await failureOf(put(client, {}, [Buffer.alloc(5 * MIB)]))).code).to.equal(status.RESOURCE_EXHAUSTED)
    expect(await failureOf(ask(client, 'List'))).to.deep.equal({
      code: status.RESOURCE_EXHAUSTED,
      text: 'the answer is over the 4 MiB limit of one message',
    })
  })

  it('ends a call at its deadline, and tells the handler', async () => {
    const reasons: unknown[] = []
    serve('Ping', {
      handle: async (_, {signal}) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            reasons.push(signal.reason)
            reject(new Error('aborted'))
          })
        }),
      kind: 'unary',
    })
    const failure = await failureOf(ask(client, 'Ping', {}, {deadline: Date.now() + 100}))
    expect(failure.code).to.equal(status.DEADLINE_EXCEEDED)
    while (reasons.length === 0) {
      await new Promise((resolve) => {
        setTimeout(resolve, 10)
      })
    }

    // Which of the two noticed first does not matter: the client's reset or our own timer.
    expect((reasons[0] as RpcError).status).to.be.oneOf([Status.DEADLINE_EXCEEDED, Status.CANCELLED])
  })

  it('tells the handler that the client cancelled', async () => {
    const aborted: string[] = []
    const wait = (name: string, signal: AbortSignal) =>
      new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted.push(name)
          reject(new Error('aborted'))
        })
      })
    serve('Ping', {handle: async (_, {signal}) => wait('unary', signal), kind: 'unary'})
    serve('Get', {handle: async (_, {signal}) => wait('sending', signal), kind: 'sending'})
    const calls = [client['Ping']!({}, () => {}), client['Get']!({})]
    for (const call of calls) call.on('error', () => {})
    while (service.sessions[0]?.active !== 2) {
      await new Promise((resolve) => {
        setTimeout(resolve, 5)
      })
    }

    for (const call of calls) call.cancel()
    while (aborted.length < 2) {
      await new Promise((resolve) => {
        setTimeout(resolve, 5)
      })
    }

    expect(aborted.sort()).to.deep.equal(['sending', 'unary'])
  })

  it('answers a Put early, while the client still sends', async () => {
    serve('Put', {
      async handle(call) {
        await call.next()
        throw new RpcError(Status.FAILED_PRECONDITION, 'no more of this')
      },
      kind: 'receiving',
    })
    const failure = await failureOf(
      put(
        client,
        {type: 1},
        Array.from({length: 64}, () => Buffer.alloc(MIB)),
      ),
    )
    expect(failure).to.deep.equal({code: status.FAILED_PRECONDITION, text: 'no more of this'})
    serve('Ping', {handle: () => EMPTY_MESSAGE, kind: 'unary'})
    await ask(client, 'Ping')
    expect(service.sessions).to.have.length(1)
  })

  it('takes much metadata, compressed headers and all', async () => {
    serve('Ping', {handle: () => EMPTY_MESSAGE, kind: 'unary'})
    for (let call = 0; call < 50; call++) {
      const metadata = new Metadata()
      const printable = Array.from({length: 94}, (_, index) =>
        String.fromCodePoint(33 + ((index * (call + 1)) % 94)),
      ).join('')
      for (let field = 0; field < 20; field++) metadata.set(`x-field-${field}`, printable.slice(field) + call)
      await ask(client, 'Ping', {}, metadata)
    }
  })
})
