import {expect} from 'chai'
import {inspect} from 'node:util'

import type {HttpClient, HttpRequest} from '../../../../src/registry/transport/http.js'

import {errorToJson} from '../../../../src/errors.js'
import {standardCredentials} from '../../../../src/registry/auth/credentials.js'
import {Secret} from '../../../../src/registry/auth/secret.js'
import {responseError} from '../../../../src/registry/errors.js'
import {createHttpClient, type RequestEvent} from '../../../../src/registry/transport/client.js'
import {bufferSource} from '../../../../src/util/content-source.js'
import {BearerRegistry, challenged, DENIED} from '../../../helpers/auth-servers.js'
import {authOf, TestHome} from '../../../helpers/credential-helpers.js'
import {FakeClock} from '../../../helpers/fake-clock.js'
import {basic, bodyOf, closeServers, json, TestServer} from '../../../helpers/http-server.js'

const CANARY = 'C4n4ry-79676697'

/** Every form in which the canary may lie somewhere. */
const FORMS = [
  CANARY,
  Buffer.from(CANARY).toString('base64').slice(0, -4),
  authOf('me', CANARY).slice(0, -4),
  encodeURIComponent(CANARY),
]

function expectNoCanary(...values: readonly unknown[]): void {
  for (const value of values) {
    const texts = [
      inspect(value, {depth: 12, getters: true, maxArrayLength: 1000, showHidden: true}),
      JSON.stringify(value) ?? '',
      String(value),
      value instanceof Error ? `${value.stack} ${JSON.stringify(errorToJson(value))}` : '',
    ]
    for (const text of texts) for (const form of FORMS) expect(text).to.not.contain(form)
  }
}

describe('secrets', function () {
  const clients: HttpClient[] = []

  afterEach(async function () {
    for (const client of clients.splice(0)) client.close()
    await closeServers()
  })

  function newClient(server: TestServer, events: RequestEvent[], login = {password: CANARY, username: 'me'}) {
    const client = createHttpClient({
      clock: new FakeClock(),
      credentials: standardCredentials({...login, env: {}}),
      onRequest: (event) => events.push(event),
      origin: server.origin,
    })
    clients.push(client)
    return client
  }

  /** Sends, reads, and gives all that a caller may come to see. */
  async function everything(client: HttpClient, request: HttpRequest): Promise<unknown[]> {
    try {
      const response = await client.send(request)
      const seen: unknown[] = [response, inspect(response.body, {depth: 12, showHidden: true})]
      seen.push(response.status === 200 ? await bodyOf(response) : await responseError(response, request.method))
      return seen
    } catch (error) {
      return [error]
    }
  }

  it('show nothing of themselves', function () {
    const secret = new Secret(CANARY)
    expect(`${secret}`).to.equal('<secret>')
    expect(JSON.stringify({secret})).to.equal('{"secret":"<secret>"}')
    expect(inspect(secret, {showHidden: true})).to.equal('<secret>')
    expect(Object.keys(secret)).to.be.empty
    expect(secret.reveal()).to.equal(CANARY)
    expect(secret.equals(new Secret(CANARY))).to.be.true
    expect(secret.equals(new Secret('x'))).to.be.false
    expectNoCanary(secret, {deep: {secret}})
  })

  it('are in no client, source, answer, event or error of basic', async function () {
    const answers: Record<string, (server: TestServer) => number> = {
      '/403': () => 403,
      '/500': () => 500,
      '/ok': () => 200,
    }
    const server: TestServer = await TestServer.start((request, response) => {
      if (request.headers.authorization !== basic('me', CANARY)) {
        json(challenged(response, 'Basic realm="x"'), 401, DENIED)
        return
      }

      if (request.url === '/lost') {
        request.raw.destroy()
        return
      }

      if (request.url === '/half') {
        response.writeHead(200, {'content-length': '100'})
        response.write('x')
        setTimeout(() => response.destroy(), 5)
        return
      }

      const status = answers[request.url]?.(server) ?? 404
      json(response, status, DENIED)
    })
    const events: RequestEvent[] = []
    const client = newClient(server, events)
    for (const path of ['/ok', '/403', '/404', '/500', '/lost', '/half']) {
      for (const method of ['GET', 'HEAD', 'PUT'] as const) {
        const request: HttpRequest = {
          method,
          url: server.url(`${path}`),
          ...(method === 'PUT' && {body: bufferSource(Buffer.from('x'))}),
        }
        expectNoCanary(...(await everything(client, request)))
      }
    }

    expect(events.length).to.be.above(15)
    expectNoCanary(client, events)
  })

  it('are in nothing of a token service that repeats what it was sent', async function () {
    const service = await TestServer.start((request, response) => {
      const {authorization = ''} = request.headers
      const sent = Buffer.from(authorization.replace('Basic ', ''), 'base64').toString()
      json(response, 401, {
        details: authorization,
        error: CANARY,
        error_description: `wrong: ${sent}`, // eslint-disable-line camelcase -- the wire's name
        errors: [{code: CANARY, detail: {sent}, message: `wrong: ${sent}`}],
      })
    })
    const server = await TestServer.start((_request, response) => {
      json(challenged(response, `Bearer realm="${service.url('/token')}"`), 401, DENIED)
    })
    const events: RequestEvent[] = []
    const client = newClient(server, events)
    const seen = await everything(client, {method: 'GET', url: server.url('/')})
    expect(seen[0]).to.have.property('code', 'UNAUTHORIZED')
    expect(service.requests.length).to.be.above(0)
    expectNoCanary(...seen, client, events)
  })

  it('are in nothing of a run with bearer tokens', async function () {
    const {registry} = await BearerRegistry.start({login: ['me', CANARY]})
    const events: RequestEvent[] = []
    const client = newClient(registry, events)
    const seen = await everything(client, {method: 'GET', url: registry.url('/')})
    expect(seen.at(-1)).to.equal(seen.at(-1) === 'token-2' ? 'token-2' : 'token-1')
    expectNoCanary(...seen, client, events)
    for (const text of [inspect(client, {depth: 12, showHidden: true}), JSON.stringify(events)]) {
      expect(text).to.not.contain('token-1')
    }
  })

  it('are in no credential that was found', async function () {
    const home = new TestHome()
    home.addHelper('keeper')
    home.keep('keeper', 'h.example', {Secret: CANARY, Username: 'me'})
    home.write('.docker/config.json', {
      auths: {'a.example': {auth: authOf('me', CANARY)}, 'b.example': {identitytoken: CANARY}},
      credHelpers: {'h.example': 'keeper'},
    })
    const source = standardCredentials({env: home.env})
    for (const registry of ['a.example', 'b.example', 'h.example']) {
      const found = await source.credentialFor({registry})
      expect(found).to.exist
      expectNoCanary(source, found)
    }
  })

  it('are in nothing of a signed redirect that fails', async function () {
    const storage = await TestServer.start((_request, response) => {
      response.writeHead(403, {'content-type': 'application/xml'}).end('<?xml version="1.0"?><Error>x</Error>')
    })
    const server = await TestServer.start((_request, response) => {
      response.writeHead(307, {location: storage.url(`/blob?X-Amz-Signature=${CANARY}&n=1`).href}).end()
    })
    const events: RequestEvent[] = []
    const client = newClient(server, events)
    const response = await client.send({method: 'GET', url: server.url('/')})
    expectNoCanary(await responseError(response, 'GET'), events)
  })
})
