import {expect} from 'chai'
import {buffer} from 'node:stream/consumers'

import type {HttpClient} from '../../../../src/registry/transport/http.js'

import {AxiosClient} from '../../../../src/registry/transport/axios-client.js'
import {withRedirects} from '../../../../src/registry/transport/redirect.js'
import {tlsConnectOptions} from '../../../../src/registry/transport/tls.js'
import {bufferSource} from '../../../../src/util/content-source.js'
import {Authority} from '../../../helpers/certificates.js'
import {failureOf} from '../../../helpers/failure.js'
import {bodyOf, closeServers, type Handler, TestServer} from '../../../helpers/http-server.js'

/** What a request may carry to let somebody in. */
const CREDENTIALS = {
  Authorization: 'Bearer CANARY',
  Cookie: 'session=CANARY',
  'X-Auth-Token': 'CANARY',
  'x-registry-auth': 'CANARY',
}
const HARMLESS = {Accept: 'application/json', Range: 'bytes=5-9'}

const end: Handler = (_request, response) => {
  response.end('here')
}

const to =
  (location: (() => string) | string, status = 307): Handler =>
  (request, response) => {
    request.raw.resume()
    response.writeHead(status, {location: typeof location === 'string' ? location : location()}).end('moved')
  }

function expectBare(server: TestServer): void {
  for (const request of server.requests) {
    expect(JSON.stringify(request.headers)).to.not.contain('CANARY')
    expect(request.headers.range).to.equal('bytes=5-9')
    expect(request.headers.accept).to.equal('application/json')
  }
}

describe('redirects', function () {
  let client: HttpClient

  beforeEach(function () {
    client = withRedirects(new AxiosClient({tls: tlsConnectOptions({insecureSkipTlsVerify: true})}))
  })

  afterEach(async function () {
    client.close()
    await closeServers()
  })

  const headers = {...CREDENTIALS, ...HARMLESS}
  for (const status of [301, 302, 303, 307, 308]) {
    it(`follows ${status} of a GET within an origin, credentials and range kept`, async function () {
      const server = await TestServer.start((request, response) =>
        request.url === '/a' ? to('b?x=1', status)(request, response) : end(request, response),
      )
      const response = await client.send({headers, method: 'GET', url: server.url('/a')})
      expect(await bodyOf(response)).to.equal('here')
      expect(response.url.href).to.equal(server.url('/b?x=1').href)
      expect(server.requests[1]?.headers).to.include({
        authorization: 'Bearer CANARY',
        cookie: 'session=CANARY',
        range: 'bytes=5-9',
      })
      // The connection of the first answer was used again.
      expect(server.connections).to.equal(1)
    })
  }

  for (const status of [301, 302, 303]) {
    it(`leaves ${status} of a POST, PUT, PATCH or DELETE to the caller`, async function () {
      const server = await TestServer.start(to('/b', status))
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
        const response = await client.send({method, url: server.url('/a')})
        expect(response.status).to.equal(status)
        expect(response.headers['location']).to.equal('/b')
        await bodyOf(response)
      }

      expect(server.requests).to.have.length(4)
    })
  }

  for (const status of [307, 308]) {
    it(`sends the body once more after ${status}`, async function () {
      const bodies: string[] = []
      const server = await TestServer.start(async (request, response) => {
        bodies.push((await buffer(request.raw)).toString())
        if (request.url === '/a') to('/b', status)(request, response)
        else response.writeHead(201).end()
      })
      const body = bufferSource(Buffer.from('content'))
      const response = await client.send({body, method: 'PUT', url: server.url('/a')})
      expect(response.status).to.equal(201)
      expect(bodies).to.deep.equal(['content', 'content'])
      expect(server.requests.map(({method}) => method)).to.deep.equal(['PUT', 'PUT'])
    })
  }

  it('takes a Location of an upload for what it is', async function () {
    const server = await TestServer.start((_request, response) => {
      response.writeHead(202, {location: 'http://127.0.0.1:1/upload'}).end()
    })
    expect((await client.send({method: 'POST', url: server.url('/')})).status).to.equal(202)
  })

  it('takes a redirect for the answer when asked to', async function () {
    const server = await TestServer.start(to('/b'))
    const response = await client.send({method: 'GET', redirect: 'manual', url: server.url('/a')})
    expect(response.status).to.equal(307)
    expect(server.requests).to.have.length(1)
  })

  it('takes a redirect without a Location for the answer', async function () {
    const server = await TestServer.start((_request, response) => {
      response.writeHead(307).end()
    })
    expect((await client.send({method: 'GET', url: server.url('/a')})).status).to.equal(307)
  })

  it('carries no credential to another port', async function () {
    const storage = await TestServer.start(end)
    const registry = await TestServer.start(to(storage.url('/s').href))
    const response = await client.send({headers, method: 'GET', url: registry.url('/a')})
    expect(await bodyOf(response)).to.equal('here')
    expect(storage.requests).to.have.length(1)
    expectBare(storage)
  })

  it('carries no credential to another name of the same address', async function () {
    const server: TestServer = await TestServer.start((request, response) =>
      request.url === '/a' ? to(`http://localhost:${server.port}/b`)(request, response) : end(request, response),
    )
    const response = await client.send({headers, method: 'GET', url: server.url('/a')})
    expect(await bodyOf(response)).to.equal('here')
    expect(JSON.stringify(server.requests[1]?.headers)).to.not.contain('CANARY')
  })

  it('carries no credential from http to https', async function () {
    const authority = await Authority.make()
    const secure = await TestServer.start(end, await authority.issue(['127.0.0.1']))
    const registry = await TestServer.start(to(secure.url('/s').href))
    expect(await bodyOf(await client.send({headers, method: 'GET', url: registry.url('/a')}))).to.equal('here')
    expect(secure.requests).to.have.length(1)
    expectBare(secure)
  })

  it('does not give credentials back to an origin that a redirect returns to', async function () {
    let back = ''
    const other = await TestServer.start(to(() => back))
    const registry = await TestServer.start((request, response) =>
      request.url === '/a' ? to(other.url('/o').href)(request, response) : end(request, response),
    )
    back = registry.url('/b').href
    expect(await bodyOf(await client.send({headers, method: 'GET', url: registry.url('/a')}))).to.equal('here')
    expect(registry.requests[0]?.headers.authorization).to.equal('Bearer CANARY')
    expect(JSON.stringify(registry.requests[1]?.headers)).to.not.contain('CANARY')
    expectBare(other)
  })

  it('carries no credential with a body either', async function () {
    const bodies: string[] = []
    const storage = await TestServer.start(async (request, response) => {
      bodies.push((await buffer(request.raw)).toString())
      response.writeHead(201).end()
    })
    const registry = await TestServer.start(to(storage.url('/s').href))
    const body = bufferSource(Buffer.from('content'))
    await client.send({body, headers, method: 'PUT', url: registry.url('/a')})
    expect(bodies).to.deep.equal(['content'])
    expectBare(storage)
  })

  it('refuses to go on from https to http', async function () {
    const authority = await Authority.make()
    const plain = await TestServer.start(end)
    const registry = await TestServer.start(to(plain.url('/s').href), await authority.issue(['127.0.0.1']))
    const error = await failureOf(client.send({headers, method: 'GET', url: registry.url('/a')}))
    expect(error.code).to.equal('PROTOCOL')
    expect(error.message).to.contain('from https to plain http')
    expect(plain.requests).to.be.empty
  })

  it('refuses to leave the origin when told so', async function () {
    const other = await TestServer.start(end)
    const registry = await TestServer.start((request, response) =>
      to(request.url === '/a' ? '/b' : other.url('/').href)(request, response),
    )
    const body = bufferSource(Buffer.from('refresh_token=CANARY'))
    const request = {body, method: 'POST', redirect: 'same-origin', url: registry.url('/a')} as const
    const error = await failureOf(client.send(request))
    expect(error.code).to.equal('PROTOCOL')
    expect(registry.requests).to.have.length(2)
    expect(other.requests).to.be.empty
  })

  it('ends after five', async function () {
    const server = await TestServer.start((request, response) => to(`${request.url}x?sig=CANARY`)(request, response))
    const error = await failureOf(client.send({method: 'GET', url: server.url('/a')}))
    expect(error.code).to.equal('PROTOCOL')
    expect(server.requests).to.have.length(6)
    expect(JSON.stringify(error)).to.not.contain('CANARY')
  })

  for (const location of ['http://', 'file:///etc/passwd', 'data:text/plain,x', 'ftp://127.0.0.1/x']) {
    it(`does not follow ${location}`, async function () {
      const server = await TestServer.start(to(location))
      expect((await failureOf(client.send({method: 'GET', url: server.url('/a')}))).code).to.equal('PROTOCOL')
    })
  }

  it('makes no login of the user info of a Location', async function () {
    const server: TestServer = await TestServer.start((request, response) =>
      request.url === '/a' ? to(`http://me:CANARY@${server.host}/b`)(request, response) : end(request, response),
    )
    const response = await client.send({method: 'GET', url: server.url('/a')})
    expect(response.url.href).to.equal(server.url('/b').href)
    expect(server.requests[1]?.headers.authorization).to.be.undefined
  })

  it('does not read on in an endless redirect body', async function () {
    const server = await TestServer.start((request, response) => {
      if (request.url === '/b') return end(request, response)
      response.writeHead(307, {location: '/b'})
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      }

      response.on('drain', more)
      more()
    })
    expect(await bodyOf(await client.send({method: 'GET', url: server.url('/a')}))).to.equal('here')
  })
})
