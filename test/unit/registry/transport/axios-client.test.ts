import {expect} from 'chai'
import {createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {buffer} from 'node:stream/consumers'
import {setTimeout as delay} from 'node:timers/promises'

import {bufferSource} from '../../../../src/util/content-source.js'
import {failureOf} from '../../../helpers/failure.js'
import {bodyOf, type Handler, TestServer} from '../../../helpers/http-server.js'
import {Wire, ZeroSource} from '../../../helpers/wire.js'

const echo: Handler = async (request, response) => {
  const body = await buffer(request.raw)
  response.end(createHash('sha256').update(body).digest('hex'))
}

/** Waits until a count stands still. */
async function settled(count: () => number): Promise<number> {
  for (let before = -1; ;) {
    const now = count()
    if (now === before && now > 0) return now
    before = now
    await delay(50)
  }
}

describe('requests over the wire', function () {
  let wire: Wire

  beforeEach(function () {
    wire = new Wire()
  })

  afterEach(async function () {
    await wire.close()
  })

  it('sends what it is told and nothing of its own making', async function () {
    const server = await TestServer.start(echo)
    const client = wire.client({userAgent: 'kloset-oci/1.2.3'})
    for (const method of ['GET', 'HEAD', 'DELETE', 'POST', 'PUT', 'PATCH'] as const) {
      await bodyOf(await client.send({headers: {'X-One': '1'}, method, url: server.url('/p/a?q=%2f&r=a+b')}))
    }

    for (const [index, method] of ['GET', 'HEAD', 'DELETE', 'POST', 'PUT', 'PATCH'].entries()) {
      const request = server.requests[index]
      expect(request?.method).to.equal(method)
      expect(request?.url).to.equal('/p/a?q=%2f&r=a+b')
      const writes = index >= 3 ? {'content-length': '0'} : {}
      expect(request?.headers).to.deep.equal({
        accept: '*/*',
        'accept-encoding': 'identity',
        connection: 'keep-alive',
        host: server.host,
        'user-agent': 'kloset-oci/1.2.3',
        'x-one': '1',
        ...writes,
      })
    }
  })

  it('streams a body with its exact length', async function () {
    const server = await TestServer.start(echo)
    const bytes = randomBytes(3_000_001)
    const body = bufferSource(bytes)
    const headers = {'content-type': 'application/octet-stream'}
    const response = await wire.client().send({body, headers, method: 'PUT', url: server.url('/')})
    expect(await bodyOf(response)).to.equal(createHash('sha256').update(bytes).digest('hex'))
    expect(server.requests[0]?.headers).to.include({
      'content-length': '3000001',
      'content-type': 'application/octet-stream',
    })
    expect(server.requests[0]?.headers['transfer-encoding']).to.be.undefined
    expect(wire.events[0]).to.include({bytes: 64, method: 'PUT', sent: 3_000_001, status: 200})
  })

  it('sends an empty body', async function () {
    const server = await TestServer.start(echo)
    const response = await wire
      .client()
      .send({body: bufferSource(Buffer.alloc(0)), method: 'PUT', url: server.url('/')})
    expect(response.status).to.equal(200)
    expect(server.requests[0]?.headers['content-length']).to.equal('0')
  })

  it('gives back status, headers in lower case, and the bytes as they are', async function () {
    const compressed = Buffer.from('1f8b08000000000000034bcc4a040065fb4b8b03000000', 'hex')
    const server = await TestServer.start((_request, response) => {
      response.writeHead(206, [
        ['Content-Encoding', 'gzip'],
        ['Docker-Content-Digest', 'sha256:x'],
        ['Link', '</a>; rel="next"'],
        ['Link', '</b>; rel="other"'],
        ['WWW-Authenticate', 'Basic realm="a"'],
        ['WWW-Authenticate', 'Bearer realm="b"'],
      ])
      response.end(compressed)
    })
    const response = await wire.client().send({method: 'GET', url: server.url('/')})
    expect(response.status).to.equal(206)
    expect(response.headers).to.include({
      'content-encoding': 'gzip',
      'docker-content-digest': 'sha256:x',
      link: '</a>; rel="next", </b>; rel="other"',
      'www-authenticate': 'Basic realm="a", Bearer realm="b"',
    })
    expect((await buffer(response.body)).equals(compressed)).to.be.true
  })

  it('throws for no status at all', async function () {
    const server = await TestServer.start((request, response) => {
      response.writeHead(Number(request.url.slice(1))).end()
    })
    for (const status of [200, 204, 302, 400, 401, 404, 500, 599]) {
      expect((await wire.client().send({method: 'GET', url: server.url(`/${status}`)})).status).to.equal(status)
    }
  })

  it('uses connections again, also when short bodies stay unread', async function () {
    const server = await TestServer.start((_request, response) => {
      response.writeHead(200, {'content-length': '5'}).end('short')
    })
    const client = wire.client()
    for (let index = 0; index < 5; index++) {
      const response = await client.send({method: index % 2 ? 'GET' : 'HEAD', url: server.url('/')})
      // What a caller does who has seen enough; the answer's end is on its way meanwhile.
      while (wire.events.length <= index) await delay(1)
      expect(response.status).to.equal(200)
    }

    expect(server.connections).to.equal(1)
  })

  it('opens no more connections than it may, and serves all requests', async function () {
    let open = 0
    let most = 0
    const server = await TestServer.start(async (_request, response) => {
      open++
      most = Math.max(most, open)
      await delay(5)
      open--
      response.end('x')
    })
    const client = wire.client({concurrency: 3})
    const all = Array.from({length: 20}, async () => bodyOf(await client.send({method: 'GET', url: server.url('/')})))
    expect(await Promise.all(all)).to.have.length(20)
    expect(most).to.equal(3)
    expect(server.connections).to.equal(3)
  })

  it('uses the connection that was used last, so that the others can go', async function () {
    const server = await TestServer.start(async (_request, response) => {
      await delay(5)
      response.end('x')
    })
    const client = wire.client()
    const get = async () => bodyOf(await client.send({method: 'GET', url: server.url('/')}))
    await Promise.all([get(), get(), get()])
    expect(server.connections).to.equal(3)
    for (let index = 0; index < 4; index++) {
      await get()
      await delay(5)
    }

    expect(new Set(server.requests.slice(3).map(({socket}) => socket)).size).to.equal(1)
  })

  it('lets answers be read to their end after it was closed', async function () {
    const server = await TestServer.start((_request, response) => {
      response.writeHead(200, {'content-length': '2000000'})
      response.write(Buffer.alloc(1_000_000))
      setTimeout(() => response.end(Buffer.alloc(1_000_000)), 30)
    })
    const client = wire.client()
    const idle = await client.send({method: 'GET', url: server.url('/')})
    const busy = await client.send({method: 'GET', url: server.url('/')})
    await buffer(idle.body)
    client.close()
    expect(await buffer(busy.body)).to.have.length(2_000_000)
    const count = () =>
      new Promise((resolve) => {
        server.raw.getConnections((_error, number) => resolve(number))
      })
    while ((await count()) !== 0) await delay(1)
  })

  it('does not read ahead of its reader', async function () {
    const source = new ZeroSource()
    const server = await TestServer.start((_request, response) => {
      source.open().pipe(response)
    })
    const response = await wire.client().send({method: 'GET', url: server.url('/')})
    await once(response.body, 'readable')
    // What fits into the buffers of two sockets and a stream, and no more.
    expect(await settled(() => source.produced)).to.be.below(32 * 1024 * 1024)
    response.body.destroy()
  })

  it('does not read its source ahead of the peer', async function () {
    const url = await wire.server((socket) => socket.pause())
    const body = new ZeroSource()
    const controller = new AbortController()
    const sent = failureOf(wire.client().send({body, method: 'PUT', signal: controller.signal, url}))
    expect(await settled(() => body.produced)).to.be.below(32 * 1024 * 1024)
    controller.abort()
    expect((await sent).code).to.equal('INTERRUPTED')
  })

  it('reports each request with a redacted address', async function () {
    const server = await TestServer.start((_request, response) => {
      response.end('four')
    })
    await bodyOf(await wire.client().send({attempt: 3, method: 'GET', url: server.url('/x?sig=CANARY&n=2')}))
    expect(wire.events).to.have.length(1)
    expect(wire.events[0]).to.include({
      attempt: 3,
      bytes: 4,
      method: 'GET',
      sent: 0,
      status: 200,
      url: `${server.origin}/x?sig=redacted&n=2`,
    })
    expect(wire.events[0]?.ms).to.be.above(0)
  })
})
