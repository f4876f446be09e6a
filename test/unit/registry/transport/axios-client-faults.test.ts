import {expect} from 'chai'
import {createHash} from 'node:crypto'
import {once} from 'node:events'
import {writeFileSync} from 'node:fs'
import {type Socket} from 'node:net'
import {join} from 'node:path'
import {PassThrough, Readable} from 'node:stream'
import {buffer} from 'node:stream/consumers'
import {setTimeout as delay} from 'node:timers/promises'

import {TransportError} from '../../../../src/registry/errors.js'
import {bufferSource, fileSource} from '../../../../src/util/content-source.js'
import {failureOf} from '../../../helpers/failure.js'
import {scratchDir} from '../../../helpers/hooks.js'
import {bodyOf, type Handler, TestServer} from '../../../helpers/http-server.js'
import {Wire, ZeroSource} from '../../../helpers/wire.js'

const echo: Handler = async (request, response) => {
  const body = await buffer(request.raw)
  response.end(createHash('sha256').update(body).digest('hex'))
}

/** Answers the first request of a connection and drops the connection at the second. */
function answerOnce(socket: Socket): void {
  socket.once('data', () => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    socket.once('data', () => socket.destroy())
  })
}

describe('requests that go wrong', function () {
  let wire: Wire

  beforeEach(function () {
    wire = new Wire()
  })

  afterEach(async function () {
    await wire.close()
  })

  describe('when an answer comes before the request is sent', function () {
    it('gives the answer, and closes source and connection', async function () {
      // Well before the server would close it.
      this.timeout(3000)
      const server = await TestServer.start((_request, response) => {
        response.writeHead(413, {'content-length': '7'}).end('too big')
      })
      const body = new ZeroSource()
      const client = wire.client()
      const response = await client.send({body, method: 'PUT', url: server.url('/')})
      expect(response.status).to.equal(413)
      expect(await bodyOf(response)).to.equal('too big')
      while (!body.streams[0]?.destroyed) await delay(1)
      await client.send({method: 'GET', url: server.url('/')})
      expect(server.connections).to.equal(2)
    })

    it('sends no more of a request that was refused, though the peer would read it', async function () {
      const server = await TestServer.start((request, response) => {
        request.raw.resume()
        response.writeHead(413, {'content-length': '7'}).write('too')
        setTimeout(() => response.end(' big'), 150)
      })
      const body = new ZeroSource()
      const response = await wire.client().send({body, method: 'PUT', url: server.url('/')})
      await delay(50)
      const {produced} = body
      expect(await bodyOf(response)).to.equal('too big')
      expect(body.produced).to.equal(produced)
      expect(produced).to.be.below(body.size / 2)
    })

    it('gives the answer when the peer closes behind it', async function () {
      const url = await wire.server((socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno')
        })
      })
      const body = bufferSource(Buffer.alloc(20_000_000))
      const response = await wire.client().send({body, method: 'PUT', url})
      expect(response.status).to.equal(401)
      expect(await bodyOf(response)).to.equal('no')
    })
  })

  describe('when the connection is lost', function () {
    it('says so before an answer', async function () {
      const url = await wire.server((socket) => socket.once('data', () => socket.destroy()))
      const error = await failureOf(wire.client().send({method: 'GET', url}))
      expect(error).to.be.instanceOf(TransportError)
      expect(error.code).to.equal('UNREACHABLE')
      expect(error.facts).to.include({errno: 'ECONNRESET', reason: 'reset'})
      expect(wire.events).to.have.length(1)
      expect(wire.events[0]).to.include({error: 'reset', method: 'GET'})
      expect(wire.events[0]?.status).to.be.undefined
    })

    it('says so in the middle of an answer', async function () {
      const url = await wire.server((socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')
          setTimeout(() => socket.destroy(), 20)
        })
      })
      const response = await wire.client().send({method: 'GET', url})
      const error = await failureOf(bodyOf(response))
      expect(error).to.be.instanceOf(TransportError)
      expect((error as TransportError).retryable).to.be.true
      expect(wire.events[0]).to.include({bytes: 4, error: 'reset', status: 200})
    })

    it('says so when the stream ends in a cut chunk', async function () {
      const url = await wire.server((socket) => {
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf'))
      })
      const response = await wire.client().send({method: 'GET', url})
      expect(await failureOf(bodyOf(response))).to.be.instanceOf(TransportError)
    })

    it('says so in the middle of an upload, and closes the source', async function () {
      const url = await wire.server((socket) => socket.once('data', () => socket.destroy()))
      const body = new ZeroSource()
      const error = await failureOf(wire.client().send({body, method: 'PUT', url}))
      expect((error as TransportError).reason).to.equal('reset')
      while (!body.streams[0]?.destroyed) await delay(1)
    })

    for (const method of ['GET', 'PUT', 'POST', 'DELETE'] as const) {
      it(`sends a ${method} again when a kept connection was closed meanwhile`, async function () {
        let connections = 0
        const url = await wire.server((socket, count) => {
          connections = count
          answerOnce(socket)
        })
        const client = wire.client()
        expect(await bodyOf(await client.send({method: 'GET', url}))).to.equal('ok')
        const response = await client.send({
          ...(method === 'PUT' && {body: bufferSource(Buffer.from('x'))}),
          method,
          url,
        })
        expect(await bodyOf(response)).to.equal('ok')
        expect(connections).to.equal(2)
        expect(wire.events.map(({error}) => error)).to.deep.equal([undefined, 'reset', undefined])
      })
    }

    it('does not send a PATCH again: its bytes may have been taken', async function () {
      const url = await wire.server(answerOnce)
      const client = wire.client()
      await bodyOf(await client.send({method: 'GET', url}))
      expect((await failureOf(client.send({method: 'PATCH', url}))).code).to.equal('UNREACHABLE')
    })

    it('sends it again once, not for ever', async function () {
      const url = await wire.server((socket, count) => {
        if (count === 1) answerOnce(socket)
        else socket.once('data', () => socket.destroy())
      })
      const client = wire.client()
      await bodyOf(await client.send({method: 'GET', url}))
      expect((await failureOf(client.send({method: 'GET', url}))).code).to.equal('UNREACHABLE')
      expect(wire.events).to.have.length(3)
    })
  })

  describe('when nothing moves', function () {
    it('gives up waiting for an answer', async function () {
      const server = await TestServer.start(() => {})
      const error = await failureOf(wire.client({timeouts: {response: 60}}).send({method: 'GET', url: server.url('/')}))
      expect((error as TransportError).reason).to.equal('timeout')
      expect(error.message).to.contain('no answer came for 0.06 s')
    })

    it('gives up in the middle of an answer, but only when the reader waits', async function () {
      const server = await TestServer.start((_request, response) => {
        response.writeHead(200, {'content-length': '1000000'})
        response.write(Buffer.alloc(600_000))
      })
      const response = await wire.client({timeouts: {idle: 60}}).send({method: 'GET', url: server.url('/')})
      const iterator = response.body[Symbol.asyncIterator]() as AsyncIterator<Buffer>
      let {length} = (await iterator.next()).value as Buffer
      await delay(200)
      const error = await failureOf(
        (async () => {
          for (;;) {
            const {value} = (await iterator.next()) as {value: Buffer}
            length += value.length
          }
        })(),
      )
      expect(length).to.equal(600_000)
      expect((error as TransportError).reason).to.equal('timeout')
    })

    it('gives up in the middle of an upload', async function () {
      const url = await wire.server((socket) => socket.pause())
      const body = bufferSource(Buffer.alloc(50_000_000))
      const error = await failureOf(wire.client({timeouts: {idle: 80}}).send({body, method: 'PUT', url}))
      expect(error.message).to.contain('no byte of the request could be sent for 0.08 s')
    })

    it('does not give up on a slow but moving answer', async function () {
      const server = await TestServer.start(async (_request, response) => {
        for (let index = 0; index < 8; index++) {
          response.write('x')
          await delay(250)
        }

        response.end()
      })
      const response = await wire.client({timeouts: {idle: 1500}}).send({method: 'GET', url: server.url('/')})
      expect(await bodyOf(response)).to.equal('xxxxxxxx')
    })

    it('does not count the time in which a request waits for a connection', async function () {
      const server = await TestServer.start(async (_request, response) => {
        await delay(500)
        response.end('x')
      })
      const client = wire.client({concurrency: 1, timeouts: {connect: 1000, response: 1500}})
      const all = Array.from({length: 4}, async () => bodyOf(await client.send({method: 'GET', url: server.url('/')})))
      expect(await Promise.all(all)).to.deep.equal(['x', 'x', 'x', 'x'])
    })

    it('gives up connecting', async function () {
      // Accepts the connection and never speaks TLS.
      const {port} = await wire.server((socket) => socket.resume())
      const url = new URL(`https://127.0.0.1:${port}/`)
      const error = await failureOf(wire.client({timeouts: {connect: 80}}).send({method: 'GET', url}))
      expect(error.message).to.contain('no connection came about for 0.08 s')
    })

    it('lets go of a request that waits for a connection', async function () {
      const server = await TestServer.start(() => {})
      const client = wire.client({concurrency: 1})
      const first = new AbortController()
      const second = new AbortController()
      const sent = [first, second].map(async ({signal}) =>
        failureOf(client.send({method: 'GET', signal, url: server.url('/')})),
      )
      second.abort()
      expect((await sent[1])?.code).to.equal('INTERRUPTED')
      first.abort()
      expect((await sent[0])?.code).to.equal('INTERRUPTED')
      expect(server.requests).to.have.length.below(2)
    })
  })

  describe('when aborted', function () {
    const reason = new Error('enough')

    async function expectInterrupted(promise: Promise<unknown>): Promise<void> {
      const error = await failureOf(promise)
      expect(error.code).to.equal('INTERRUPTED')
      expect(error.cause).to.equal(reason)
    }

    it('sends nothing when that was before', async function () {
      const server = await TestServer.start(echo)
      const signal = AbortSignal.abort(reason)
      await expectInterrupted(wire.client().send({method: 'GET', signal, url: server.url('/')}))
      expect(server.requests).to.be.empty
      expect(server.connections).to.equal(0)
    })

    it('closes the connection while it waits for an answer', async function () {
      const controller = new AbortController()
      let closed: Promise<unknown> | undefined
      const server = await TestServer.start((request) => {
        closed = once(request.raw.socket, 'close')
        controller.abort(reason)
      })
      await expectInterrupted(wire.client().send({method: 'GET', signal: controller.signal, url: server.url('/')}))
      await closed
    })

    it('closes the connection in the middle of an answer', async function () {
      const controller = new AbortController()
      let closed: Promise<unknown> | undefined
      const server = await TestServer.start((request, response) => {
        closed = once(request.raw.socket, 'close')
        response.writeHead(200, {'content-length': '100'})
        response.write('part')
      })
      const response = await wire.client().send({method: 'GET', signal: controller.signal, url: server.url('/')})
      await once(response.body, 'readable')
      controller.abort(reason)
      await expectInterrupted(bodyOf(response))
      await closed
    })

    it('closes the connection and the source in the middle of an upload', async function () {
      const controller = new AbortController()
      const stream = new PassThrough()
      const source = {
        open() {
          stream.write('part')
          return stream
        },
        size: 100,
      }
      let closed: Promise<unknown> | undefined
      const server = await TestServer.start((request) => {
        closed = once(request.raw.socket, 'close')
        request.raw.once('data', () => controller.abort(reason))
      })
      await expectInterrupted(
        wire.client().send({body: source, method: 'PUT', signal: controller.signal, url: server.url('/')}),
      )
      await closed
      while (!stream.destroyed) await delay(1)
    })

    it('leaves no listener on the signal behind', async function () {
      const server = await TestServer.start(echo)
      const {signal} = new AbortController()
      let listeners = 0
      const add = signal.addEventListener.bind(signal)
      const remove = signal.removeEventListener.bind(signal)
      signal.addEventListener = (...parameters: Parameters<typeof add>) => {
        listeners++
        add(...parameters)
      }

      signal.removeEventListener = (...parameters: Parameters<typeof remove>) => {
        listeners--
        remove(...parameters)
      }

      const client = wire.client()
      for (let index = 0; index < 3; index++) {
        await bodyOf(await client.send({method: 'GET', signal, url: server.url('/')}))
      }

      await delay(10)
      // Removing one that is gone already counts below zero: more were never added.
      expect(listeners).to.be.at.most(0)
    })
  })

  describe('when the source is not what it said', function () {
    for (const [what, size] of [
      ['shorter', 1000],
      ['longer', 10],
    ] as const) {
      it(`fails when it is ${what}`, async function () {
        let ended = false
        const server = await TestServer.start((request) => {
          request.raw.on('end', () => {
            ended = true
          })
          request.raw.resume()
        })
        const body = {open: () => Readable.from([Buffer.alloc(100)]), size}
        const error = await failureOf(wire.client().send({body, method: 'PUT', url: server.url('/')}))
        expect(error.code).to.equal('INTEGRITY')
        expect(error.facts).to.include({expected: size})
        expect(ended).to.be.false
      })
    }

    it('fails when the file is gone', async function () {
      const server = await TestServer.start(echo)
      const path = join(scratchDir(), 'gone')
      const body = fileSource(path, 5)
      const error = await failureOf(wire.client().send({body, method: 'PUT', url: server.url('/')}))
      expect(error.code).to.equal('IO')
      expect(error.message).to.contain('ENOENT')
      writeFileSync(path, 'hello')
      expect((await wire.client().send({body, method: 'PUT', url: server.url('/')})).status).to.equal(200)
    })
  })

  describe('when the peer cannot be reached', function () {
    it('says that nothing listens', async function () {
      const error = await failureOf(wire.client().send({method: 'GET', url: new URL('http://127.0.0.1:1/')}))
      expect(error.facts['reason']).to.equal('refused')
      expect(error.message).to.contain('nothing listens on 127.0.0.1:1')
      expect(error.suggestions).to.not.be.empty
    })

    it('says that the name is not known', async function () {
      const error = await failureOf(wire.client().send({method: 'GET', url: new URL('https://registry.invalid/')}))
      expect(error.facts['reason']).to.be.oneOf(['dns', 'unreachable'])
      expect(error.message).to.contain('registry.invalid')
    })

    it('recognises https where plain http is spoken', async function () {
      const server = await TestServer.start(echo)
      const url = new URL(`https://${server.host}/`)
      const error = await failureOf(wire.client().send({method: 'GET', url}))
      expect(error.facts['reason']).to.equal('plain-http')
      expect(error.suggestions.join(' ')).to.contain('--plain-http')
    })

    it('recognises what is not http', async function () {
      const url = await wire.server((socket) => {
        // A TLS alert, as servers of TLS answer to plain text.
        socket.once('data', () => socket.end(Buffer.from('15030100020246', 'hex')))
      })
      const error = await failureOf(wire.client().send({method: 'GET', url}))
      expect(error.facts['reason']).to.equal('protocol')
      expect(error.suggestions.join(' ')).to.contain('say so with --no-plain-http')
    })

    it('survives headers beyond all limits', async function () {
      const url = await wire.server((socket) => {
        socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`))
      })
      const error = await failureOf(wire.client().send({method: 'GET', url}))
      expect(error).to.be.instanceOf(TransportError)
      expect(error.message).to.have.length.below(300)
      expect(error.message).to.contain('the head of the answer is larger than is taken')
    })

    it('does not take a mistake inside an answer for TLS', async function () {
      const url = await wire.server((socket) => {
        socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n'))
      })
      const error = await failureOf(wire.client().send({method: 'GET', url}))
      expect(error.facts).to.include({errno: 'HPE_INVALID_CONTENT_LENGTH', reason: 'protocol'})
      expect(error.suggestions).to.deep.equal([])
    })
  })
})
