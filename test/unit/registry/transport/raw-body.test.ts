import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import http, {type IncomingMessage} from 'node:http'
import {type Socket} from 'node:net'
import {type Readable} from 'node:stream'
import {setTimeout as delay, setImmediate as turn} from 'node:timers/promises'

import type {HttpResponse} from '../../../../src/registry/transport/http.js'

import {AxiosClient} from '../../../../src/registry/transport/axios-client.js'
import {RawBody} from '../../../../src/registry/transport/raw-body.js'
import {tlsConnectOptions} from '../../../../src/registry/transport/tls.js'
import {drain} from '../../../../src/util/drain.js'
import {Authority} from '../../../helpers/certificates.js'
import {failureOf} from '../../../helpers/failure.js'
import {closeServers, type Handler, TestServer} from '../../../helpers/http-server.js'
import {READERS} from '../../../helpers/readers.js'
import {Wire} from '../../../helpers/wire.js'

const LONG = randomBytes(3 * 1024 * 1024 + 17)

/** `/long`, or a short answer. */
const answers: Handler = (request, response) => {
  const body = request.url === '/long' ? LONG : Buffer.from('short')
  response.writeHead(200, {'content-length': body.length}).end(request.method === 'HEAD' ? undefined : body)
}

/** Sends the head of a long answer and `bytes` of it in pieces of `step`, each in a turn of its own. */
async function sendSlowly(socket: Socket, bytes: Buffer, step: number): Promise<void> {
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${LONG.length}\r\n\r\n`)
  for (let offset = 0; offset < bytes.length; offset += step) {
    if (!socket.write(bytes.subarray(offset, offset + step))) await once(socket, 'drain')
    await turn()
  }
}

/** The count once it stands still. */
async function settled(count: () => number): Promise<number> {
  for (let last = -1; ;) {
    if (last === count()) return last
    last = count()
    await delay(50)
  }
}

function bytesOf({body}: HttpResponse, read: (stream: Readable) => Promise<Buffer>): Promise<Buffer> {
  return read(body)
}

describe('long bodies', function () {
  let wire: Wire

  beforeEach(function () {
    wire = new Wire()
  })

  afterEach(async function () {
    await wire.close()
  })

  it('come from the socket itself, all but their ends', async function () {
    const server = await TestServer.start(answers)
    const request = http.get(server.url('/long'))
    const [source] = (await once(request, 'response')) as [IncomingMessage]
    const pieces: Buffer[] = [source.read() as Buffer]
    const before = pieces[0]?.length ?? 0
    const raw = RawBody.of({
      onPiece: (piece) => pieces.push(piece) > 0,
      remaining: LONG.length - before,
      source,
    })
    expect(raw, 'this Node is not built as it was thought').to.not.equal(undefined)
    let fromMessage = 0
    source.on('data', (piece: Buffer) => {
      fromMessage += piece.length
      pieces.push(piece)
    })
    await once(source, 'end')
    expect(Buffer.concat(pieces).equals(LONG)).to.equal(true)
    expect(fromMessage).to.be.above(0)
    expect(before + fromMessage).to.be.below(LONG.length / 2)
  })

  for (const isSlow of [false, true]) {
    it(`come in memory that is used again when they are drained${isSlow ? ' slowly' : ''}`, async function () {
      const server = await TestServer.start(answers)
      const {body} = await wire.client().send({method: 'GET', url: server.url('/long')})
      const memory = new Map<ArrayBufferLike, number>()
      let pieces = 0
      await drain(body as Readable, (piece) => {
        pieces += 1
        memory.set(piece.buffer, (memory.get(piece.buffer) ?? 0) + 1)
        return isSlow ? turn() : undefined
      })
      expect(pieces).to.be.above(4)
      // What came before it was drained, the end, and one piece of memory, or two in turn.
      const usedAgain = [...memory.values()].filter((times) => times > 1)
      expect(usedAgain.length).to.be.within(1, isSlow ? 2 : 1)
    })
  }

  for (const [way, read] of Object.entries(READERS)) {
    describe(way, function () {
      it('are whole, and their connection serves the next request', async function () {
        const server = await TestServer.start(answers)
        const client = wire.client()
        for (let round = 0; round < 3; round++) {
          expect(
            (await bytesOf(await client.send({method: 'GET', url: server.url('/long')}), read)).equals(LONG),
          ).to.equal(true)
          expect(String(await bytesOf(await client.send({method: 'GET', url: server.url('/')}), read))).to.equal(
            'short',
          )
        }

        expect(server.connections).to.equal(1)
        expect(wire.events.map(({bytes}) => bytes)).to.deep.equal([LONG.length, 5, LONG.length, 5, LONG.length, 5])
      })

      it('are whole over TLS', async function () {
        const authority = await Authority.make()
        const server = await TestServer.start(answers, await authority.issue(['localhost', '127.0.0.1']))
        const client = new AxiosClient({tls: tlsConnectOptions({caFile: authority.own.certFile})})
        try {
          for (let round = 0; round < 2; round++) {
            const response = await client.send({method: 'GET', url: server.url('/long')})
            expect((await bytesOf(response, read)).equals(LONG)).to.equal(true)
          }

          expect(server.connections).to.equal(1)
        } finally {
          client.close()
          await closeServers()
        }
      })

      for (const step of [1000, 65_536, LONG.length]) {
        it(`are whole when they come in pieces of ${step} bytes`, async function () {
          const url = await wire.server((socket) => {
            socket.once('data', async () => sendSlowly(socket, LONG, step))
          })
          const response = await wire.client().send({method: 'GET', url})
          expect((await bytesOf(response, read)).equals(LONG)).to.equal(true)
        })
      }

      it('are read no faster than their reader reads', async function () {
        let sent = 0
        const url = await wire.server((socket) => {
          socket.once('data', () => {
            const total = 256 * 1024 * 1024
            socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`)
            const fill = () => {
              while (sent < total) {
                sent += 65_536
                if (!socket.write(Buffer.alloc(65_536))) return
              }
            }

            socket.on('drain', fill)
            fill()
          })
        })
        const {body} = await wire.client().send({method: 'GET', url})
        const counter = () => sent
        const waiting = await settled(counter)
        expect(waiting).to.be.below(64 * 1024 * 1024)
        const stream = body as Readable
        stream.resume()
        while (counter() < waiting + 64 * 1024 * 1024) await turn()
        stream.destroy()
      })

      it('that break off are errors, and leave nothing behind for the next answer', async function () {
        const url = await wire.server((socket, count) => {
          socket.once('data', async () => {
            if (count % 2 === 0) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshort')
            else {
              await sendSlowly(socket, LONG.subarray(0, 2_000_000), 65_536)
              if (count === 1) socket.end()
              else socket.resetAndDestroy()
            }
          })
        })
        const client = wire.client()
        for (let round = 0; round < 2; round++) {
          const error = await failureOf(bytesOf(await client.send({method: 'GET', url}), read))
          expect(error.facts).to.include({reason: 'reset'})
          expect(String(await bytesOf(await client.send({method: 'GET', url}), read))).to.equal('short')
        }
      })

      it('that their reader gives up leave nothing behind for the next answer', async function () {
        const server = await TestServer.start(answers)
        const client = wire.client()
        for (let round = 0; round < 3; round++) {
          const {body} = await client.send({method: 'GET', url: server.url('/long')})
          await once(body as Readable, 'data')
          ;(body as Readable).destroy()
          expect(String(await bytesOf(await client.send({method: 'GET', url: server.url('/')}), read))).to.equal(
            'short',
          )
        }
      })

      it('in chunks of HTTP come from the parser, whatever length is said beside them', async function () {
        const server = await TestServer.start((_request, response) => {
          response.writeHead(200)
          for (let offset = 0; offset < LONG.length; offset += 100_000) {
            response.write(LONG.subarray(offset, offset + 100_000))
          }

          response.end()
        })
        const response = await wire.client().send({method: 'GET', url: server.url('/')})
        expect(response.headers['transfer-encoding']).to.equal('chunked')
        expect((await bytesOf(response, read)).equals(LONG)).to.equal(true)
      })

      it('that a HEAD only tells of are empty', async function () {
        const server = await TestServer.start(answers)
        const client = wire.client()
        for (let round = 0; round < 2; round++) {
          const response = await client.send({method: 'HEAD', url: server.url('/long')})
          expect(response.headers['content-length']).to.equal(String(LONG.length))
          expect(await bytesOf(response, read)).to.have.length(0)
        }

        expect(
          (await bytesOf(await client.send({method: 'GET', url: server.url('/long')}), read)).equals(LONG),
        ).to.equal(true)
        expect(server.connections).to.equal(1)
      })
    })
  }
})
