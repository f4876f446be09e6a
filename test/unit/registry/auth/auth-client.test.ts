import {expect} from 'chai'
import {buffer} from 'node:stream/consumers'

import type {HttpClient, HttpRequest} from '../../../../src/registry/transport/http.js'

import {expectStatus} from '../../../../src/registry/errors.js'
import {createHttpClient, type HttpClientOptions} from '../../../../src/registry/transport/client.js'
import {bufferSource} from '../../../../src/util/content-source.js'
import {basicRegistry, BearerRegistry, challenged, DENIED, TestCredentials} from '../../../helpers/auth-servers.js'
import {failureOf} from '../../../helpers/failure.js'
import {FakeClock} from '../../../helpers/fake-clock.js'
import {basic, bodyOf, closeServers, json, TestServer} from '../../../helpers/http-server.js'

const PULL = ['repository:a/b:pull']

describe('getting in', function () {
  const clients: HttpClient[] = []
  let clock: FakeClock

  beforeEach(function () {
    clock = new FakeClock()
  })

  afterEach(async function () {
    for (const client of clients.splice(0)) client.close()
    await closeServers()
  })

  function newClient(server: TestServer, credentials = new TestCredentials(), more: Partial<HttpClientOptions> = {}) {
    const client = createHttpClient({clock, credentials, origin: server.origin, random: () => 0, ...more})
    clients.push(client)
    const send = async (path = '/v2/', request: Partial<HttpRequest> = {}) => {
      const response = await client.send({method: 'GET', url: server.url(path), ...request})
      return {attempts: response.attempts, status: response.status, text: await bodyOf(response)}
    }

    return {client, send}
  }

  it('asks no source for a registry that is open', async function () {
    const server = await TestServer.start((_request, response) => {
      response.end('open')
    })
    const credentials = new TestCredentials('me')
    const {send} = newClient(server, credentials)
    expect((await send()).text).to.equal('open')
    expect(credentials.asked).to.equal(0)
    expect(server.requests[0]?.headers.authorization).to.be.undefined
  })

  describe('with basic', function () {
    it('answers the challenge, then sends it at once', async function () {
      const server = await basicRegistry('me', 'CANARY-PASSWORD')
      const credentials = new TestCredentials('me')
      const {send} = newClient(server, credentials)
      expect(await send()).to.deep.equal({attempts: 2, status: 200, text: 'in'})
      expect(await send()).to.deep.equal({attempts: 1, status: 200, text: 'in'})
      expect(server.requests).to.have.length(3)
      expect(credentials.asked).to.equal(1)
    })

    it('gives the refusal back when there is no login', async function () {
      const server = await basicRegistry('me', 'pw')
      const {client} = newClient(server)
      const response = await client.send({method: 'GET', url: server.url('/')})
      const error = await failureOf(expectStatus(response, [200], 'GET'))
      expect(error.code).to.equal('UNAUTHORIZED')
      expect(error.message).to.contain('authentication required')
      expect(server.requests).to.have.length(1)
    })

    it('gives the refusal back when the login is wrong, without hammering', async function () {
      const server = await basicRegistry('me', 'pw')
      const {send} = newClient(server, new TestCredentials('me', 'not-the-password'))
      expect((await send()).status).to.equal(401)
      expect(server.requests).to.have.length(2)
      expect((await send()).status).to.equal(401)
      expect(server.requests).to.have.length(3)
    })

    it('asks the source again when a login stops working', async function () {
      const server = await basicRegistry('me', 'new')
      const credentials = new TestCredentials('me', 'old')
      const {send} = newClient(server, credentials)
      expect((await send()).status).to.equal(401)
      credentials.login('me', 'new')
      const all = await Promise.all(Array.from({length: 10}, async () => send()))
      expect(all.map(({status}) => status)).to.deep.equal(Array.from({length: 10}).fill(200))
      expect(credentials.asked).to.be.at.most(3)
    })

    it('has nothing to show when all it has is a token', async function () {
      const server = await basicRegistry('me', 'pw')
      const {send} = newClient(server, new TestCredentials().identity('CANARY'))
      expect((await send()).status).to.equal(401)
      expect(JSON.stringify(server.requests.map(({headers}) => headers))).to.not.contain('CANARY')
    })
  })

  describe('with bearer tokens', function () {
    it('gets one anonymously', async function () {
      const {registry, service} = await BearerRegistry.start()
      const {send} = newClient(registry)
      expect(await send('/v2/a/b/tags/list', {scopes: PULL})).to.include({attempts: 2, text: 'token-1'})
      expect(await send('/v2/a/b/tags/list', {scopes: PULL})).to.include({attempts: 1, text: 'token-1'})
      expect(service.requests).to.have.length(1)
    })

    it('gets one with user and password, which the registry never sees', async function () {
      const {registry, service} = await BearerRegistry.start({login: ['me', 'CANARY-PASSWORD']})
      const {send} = newClient(registry, new TestCredentials('me'))
      expect((await send()).status).to.equal(200)
      expect(service.requests[0]?.headers.authorization).to.equal(basic('me', 'CANARY-PASSWORD'))
      for (const {headers} of registry.requests) expect(headers.authorization ?? '').to.not.match(/^Basic/)
    })

    it('asks for what the request is for, and for what the registry asks', async function () {
      const fake = await BearerRegistry.start()
      fake.challengeScope = ({method}) => (method === 'GET' ? 'repository:a/b:pull' : 'repository:a/b:pull,push')
      const {send} = newClient(fake.registry)
      await send('/', {scopes: PULL})
      await send('/', {method: 'DELETE', scopes: ['repository:a/b:delete']})
      await send('/', {method: 'PUT', scopes: ['repository:a/b:push,pull', 'repository:c:pull']})
      expect(fake.tokenRequests.map((query) => query.getAll('scope'))).to.deep.equal([
        ['repository:a/b:pull'],
        ['repository:a/b:delete'],
        ['repository:a/b:pull,push', 'repository:c:pull'],
      ])
      expect(fake.tokenRequests[0]?.get('service')).to.equal('registry')
    })

    it('learns what the registry wants beyond what was named', async function () {
      const fake = await BearerRegistry.start()
      fake.challengeScope = () => 'repository:a/b:pull repository:x:pull'
      const {send} = newClient(fake.registry)
      await send('/', {scopes: PULL})
      await send('/', {scopes: PULL})
      expect(fake.tokenRequests.map((query) => query.getAll('scope'))).to.deep.equal([
        ['repository:a/b:pull', 'repository:x:pull'],
      ])
      expect(fake.registry.requests).to.have.length(3)
    })

    it('gets one for all who need it at the same time', async function () {
      const fake = await BearerRegistry.start()
      const {send} = newClient(fake.registry)
      const all = await Promise.all(Array.from({length: 30}, async () => send('/', {scopes: PULL})))
      expect(new Set(all.map(({text}) => text))).to.deep.equal(new Set(['token-1']))
      expect(fake.tokenRequests).to.have.length(1)
    })

    it('gets the next one before the last one ends, so that no request is refused', async function () {
      const fake = await BearerRegistry.start({life: 300})
      const {send} = newClient(fake.registry)
      await send('/', {scopes: PULL})
      for (let minute = 0; minute < 20; minute++) {
        clock.advance(60_000)
        expect((await send('/', {scopes: PULL})).attempts).to.equal(1)
      }

      expect(fake.tokenRequests).to.have.length(6)
    })

    it('gets the next one, once, when many find theirs refused', async function () {
      const fake = await BearerRegistry.start()
      const {send} = newClient(fake.registry)
      await send('/', {scopes: PULL})
      fake.revokeAll()
      const all = await Promise.all(Array.from({length: 30}, async () => send('/', {scopes: PULL})))
      expect(new Set(all.map(({text}) => text))).to.deep.equal(new Set(['token-2']))
      expect(fake.tokenRequests).to.have.length(2)
    })

    it('sends an upload again, whole', async function () {
      const fake = await BearerRegistry.start()
      const {client, send} = newClient(fake.registry)
      await send('/', {scopes: PULL})
      fake.revokeAll()
      const bodies: number[] = []
      fake.registry.raw.prependListener('request', (request) => {
        if (request.headers.authorization === 'Bearer token-2') {
          buffer(request).then(
            (body) => bodies.push(body.length),
            () => {},
          )
        }
      })
      const body = bufferSource(Buffer.alloc(2_000_000))
      const request = {body, method: 'PUT', scopes: PULL, url: fake.registry.url('/up')} as const
      expect((await client.send(request)).status).to.equal(200)
      expect(bodies).to.deep.equal([2_000_000])
    })

    it('uses a token for the registry as it is', async function () {
      const server = await TestServer.start((request, response) => {
        if (request.headers.authorization === 'Bearer MINE') response.end('in')
        else json(challenged(response, 'Bearer realm="https://nowhere.invalid/"'), 401, DENIED)
      })
      const {send} = newClient(server, new TestCredentials().registryToken('MINE'))
      expect((await send()).text).to.equal('in')
      expect((await send()).attempts).to.equal(1)
      const other = newClient(server, new TestCredentials().registryToken('OTHER'))
      expect((await other.send()).status).to.equal(401)
      expect((await other.send()).status).to.equal(401)
    })

    it('asks the source again when the token service refuses its login', async function () {
      const fake = await BearerRegistry.start({login: ['me', 'new']})
      const credentials = new TestCredentials('me', 'old')
      const {send} = newClient(fake.registry, credentials)
      const error = await failureOf(send('/', {scopes: PULL}))
      expect(error.code).to.equal('UNAUTHORIZED')
      credentials.login('me', 'new')
      expect((await send('/', {scopes: PULL})).status).to.equal(200)
    })

    it('prefers bearer to basic when both are offered', async function () {
      const fake = await BearerRegistry.start({login: ['me', 'CANARY-PASSWORD']})
      const server = await TestServer.start((request, response) => {
        if (request.headers.authorization === 'Bearer token-1') return response.end('in') && undefined
        challenged(response, `Basic realm="x", Bearer realm="${fake.service.url('/token')}"`)
        json(response, 401, DENIED)
      })
      expect((await newClient(server, new TestCredentials('me')).send()).text).to.equal('in')
    })
  })

  describe('when a login has expired and the answer is 403', function () {
    const EXPIRED = 'Your authorization token has expired. Reauthenticate and try again.'

    async function expiring() {
      let valid = 'old'
      const server = await TestServer.start((request, response) => {
        const {authorization} = request.headers
        if (authorization === undefined) json(challenged(response, 'Basic realm="ecr"'), 401, DENIED)
        else if (authorization === basic('AWS', valid)) response.writeHead(200, {'content-length': '2'}).end('in')
        else response.writeHead(403).end(EXPIRED)
      })
      const credentials = new TestCredentials('AWS', 'old')
      return {
        credentials,
        expire(): void {
          valid = 'new'
        },
        server,
        ...newClient(server, credentials),
      }
    }

    it('asks the source once more and goes on', async function () {
      const {credentials, expire, send} = await expiring()
      expect((await send()).text).to.equal('in')
      expire()
      credentials.login('AWS', 'new')
      expect((await send()).text).to.equal('in')
      expect(credentials.asked).to.equal(2)
    })

    it('gives the refusal back, readable, when there is no other', async function () {
      const {client, expire, send, server} = await expiring()
      await send()
      expire()
      const response = await client.send({method: 'GET', url: server.url('/')})
      const error = await failureOf(expectStatus(response, [200], 'GET'))
      expect(error.code).to.equal('FORBIDDEN')
      expect(error.suggestions.join(' ')).to.contain('expired')
    })

    it('does so for HEAD, which has no text, when the login is old', async function () {
      const {credentials, expire, send} = await expiring()
      await send()
      expire()
      credentials.login('AWS', 'new')
      expect((await send('/', {method: 'HEAD'})).status).to.equal(403)
      clock.advance(11 * 60_000)
      expect((await send('/', {method: 'HEAD'})).status).to.equal(200)
    })

    it('takes any other 403 for what it says', async function () {
      const server = await TestServer.start((request, response) => {
        if (request.headers.authorization) json(response, 403, {errors: [{code: 'DENIED', message: 'read only'}]})
        else json(challenged(response, 'Basic realm="x"'), 401, DENIED)
      })
      const credentials = new TestCredentials('me')
      const {send} = newClient(server, credentials)
      expect((await send()).text).to.contain('read only')
      expect((await send()).text).to.contain('read only')
      expect(credentials.asked).to.equal(1)
    })
  })

  describe('stays with the registry', function () {
    it('and sends nothing to other origins, asked or not', async function () {
      const server = await basicRegistry('me', 'CANARY-PASSWORD')
      const other = await TestServer.start((_request, response) => {
        json(challenged(response, 'Basic realm="give it to me"'), 401, DENIED)
      })
      const credentials = new TestCredentials('me')
      const {client, send} = newClient(server, credentials)
      await send()
      for (const url of [other.url('/upload'), new URL(`http://localhost:${server.port}/v2/`)]) {
        const body = bufferSource(Buffer.from('x'))
        expect((await client.send({body, method: 'PUT', url})).status).to.equal(401)
      }

      expect(other.requests[0]?.headers.authorization).to.be.undefined
      expect(server.requests.at(-1)?.headers.authorization).to.be.undefined
    })

    it('and does not answer the challenge of a host that it was redirected to', async function () {
      const thief = await TestServer.start((_request, response) => {
        json(challenged(response, 'Basic realm="registry"'), 401, DENIED)
      })
      const server = await TestServer.start((_request, response) => {
        response.writeHead(307, {location: thief.url('/').href}).end()
      })
      const credentials = new TestCredentials('me')
      const {send} = newClient(server, credentials)
      expect((await send()).status).to.equal(401)
      expect(credentials.asked).to.equal(0)
      expect(thief.requests).to.have.length(1)
    })

    it('and refuses a token service on plain http for a registry on https', async function () {
      const {fetchToken} = await import('../../../../src/registry/auth/token.js')
      expect(fetchToken).to.be.a('function')
      const credentials = new TestCredentials('me')
      const sent: string[] = []
      const {withAuth} = await import('../../../../src/registry/auth/auth-client.js')
      const inner: HttpClient = {
        close() {},
        async send({url}) {
          sent.push(url.href)
          const headers = {'www-authenticate': 'Bearer realm="http://registry.example/token"'}
          return {attempts: 1, body: bufferSource(Buffer.alloc(0)).open(), headers, status: 401, url}
        },
      }
      const origin = new URL('https://registry.example/')
      const client = withAuth(inner, {clock, credentials, origin, target: {registry: origin.host}})
      expect((await failureOf(client.send({method: 'GET', url: origin}))).code).to.equal('PROTOCOL')
      expect(sent).to.deep.equal(['https://registry.example/'])
    })
  })

  for (const challenge of ['', 'Negotiate', 'Digest realm="x", nonce="y"', 'Bearer service="no realm"']) {
    it(`gives the refusal back when the challenge is "${challenge}"`, async function () {
      const server = await TestServer.start((_request, response) => {
        json(challenged(response, challenge), 401, DENIED)
      })
      const credentials = new TestCredentials('me')
      const result = await newClient(server, credentials).send()
      expect(result).to.include({attempts: 1, status: 401})
      expect(result.text).to.contain('authentication required')
      expect(credentials.asked).to.equal(0)
    })
  }

  it('counts retries and answered challenges together', async function () {
    let count = 0
    const server = await TestServer.start((request, response) => {
      count++
      if (count === 1 || count === 3) response.writeHead(503).end()
      else if (request.headers.authorization) response.end('in')
      else json(challenged(response, 'Basic realm="x"'), 401, DENIED)
    })
    expect(await newClient(server, new TestCredentials('me')).send()).to.deep.equal({
      attempts: 4,
      status: 200,
      text: 'in',
    })
  })
})
