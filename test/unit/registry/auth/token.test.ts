/* eslint camelcase: ['error', {properties: 'never'}] -- the names of the wire */
import type {ServerResponse} from 'node:http'

import {expect} from 'chai'
import {buffer} from 'node:stream/consumers'

import type {Token} from '../../../../src/registry/auth/token-cache.js'
import type {HttpClient} from '../../../../src/registry/transport/http.js'

import {Secret} from '../../../../src/registry/auth/secret.js'
import {fetchToken, type TokenRequest} from '../../../../src/registry/auth/token.js'
import {AxiosClient} from '../../../../src/registry/transport/axios-client.js'
import {withRedirects} from '../../../../src/registry/transport/redirect.js'
import {tlsConnectOptions} from '../../../../src/registry/transport/tls.js'
import {failureOf} from '../../../helpers/failure.js'
import {FakeClock} from '../../../helpers/fake-clock.js'
import {basic, closeServers, json, TestServer} from '../../../helpers/http-server.js'

const PASSWORD = {kind: 'basic', password: new Secret('CANARY'), username: 'me'} as const
const IDENTITY = {kind: 'identity', token: new Secret('CANARY')} as const

const send = (text: string) => (_request: unknown, response: ServerResponse) => {
  response.end(text)
}

describe('token services', function () {
  let client: HttpClient
  const clock = new FakeClock()

  beforeEach(function () {
    client = withRedirects(new AxiosClient({tls: tlsConnectOptions()}))
  })

  afterEach(async function () {
    client.close()
    await closeServers()
  })

  const ask = (realm: string | URL, options: Partial<TokenRequest> = {}): Promise<Token> =>
    fetchToken({
      client,
      clock,
      credential: undefined,
      realm: String(realm),
      registry: new URL('http://127.0.0.1:9/'),
      scopes: ['repository:a/b:pull', 'repository:c:pull,push'],
      service: 'the registry',
      ...options,
    })

  it('are asked by GET, anonymously', async function () {
    const server = await TestServer.start((_request, response) => json(response, 200, {token: 'T'}))
    const token = await ask(server.url('/token?fixed=1'))
    expect(token.value.reveal()).to.equal('T')
    const [request] = server.requests
    expect(request?.method).to.equal('GET')
    expect(request?.headers.authorization).to.be.undefined
    const query = new URL(request?.url ?? '', server.origin).searchParams
    expect([...query]).to.deep.equal([
      ['fixed', '1'],
      ['service', 'the registry'],
      ['scope', 'repository:a/b:pull'],
      ['scope', 'repository:c:pull,push'],
    ])
  })

  it('are shown user and password', async function () {
    const server = await TestServer.start((_request, response) => json(response, 200, {access_token: 'T'}))
    const credential = {kind: 'basic', password: new Secret('pä:ss'), username: 'me'} as const
    expect((await ask(server.url('/'), {credential})).value.reveal()).to.equal('T')
    expect(server.requests[0]?.headers.authorization).to.equal(basic('me', 'pä:ss'))
    expect(server.requests[0]?.url).to.contain('account=me').and.not.contain('ss')
  })

  it('are given an identity token by POST', async function () {
    let form = ''
    const server = await TestServer.start(async (request, response) => {
      form = (await buffer(request.raw)).toString()
      json(response, 200, {access_token: 'T', refresh_token: 'other'})
    })
    await ask(server.url('/'), {credential: IDENTITY})
    expect(server.requests[0]?.method).to.equal('POST')
    expect(server.requests[0]?.headers['content-type']).to.equal('application/x-www-form-urlencoded')
    expect(Object.fromEntries(new URLSearchParams(form))).to.deep.equal({
      client_id: 'kloset-oci',
      grant_type: 'refresh_token',
      refresh_token: 'CANARY',
      scope: 'repository:a/b:pull repository:c:pull,push',
      service: 'the registry',
    })
  })

  for (const status of [404, 405]) {
    it(`are given user and password by POST when GET is ${status}`, async function () {
      let form = ''
      const server = await TestServer.start(async (request, response) => {
        form = (await buffer(request.raw)).toString()
        if (request.method === 'GET') response.writeHead(status).end('no')
        else json(response, 200, {access_token: 'T'})
      })
      expect((await ask(server.url('/'), {credential: PASSWORD})).value.reveal()).to.equal('T')
      expect(Object.fromEntries(new URLSearchParams(form))).to.include({
        grant_type: 'password',
        password: 'CANARY',
        username: 'me',
      })
    })
  }

  describe('say how long a token lives', function () {
    const date = new Date('2031-05-06T07:08:00Z').toUTCString()
    for (const [answer, life] of [
      [{}, 60],
      [{expires_in: 300}, 300],
      [{expires_in: 5}, 60],
      [{expires_in: 0}, 60],
      [{expires_in: -1}, 60],
      [{expires_in: '300'}, 60],
      [{expires_in: 1e12}, 86_400],
      // By the service's own clock it is 20 s old, however wrong ours is.
      [{expires_in: 300, issued_at: '2031-05-06T07:07:40Z'}, 280],
      [{expires_in: 300, issued_at: '2031-05-06T08:00:00Z'}, 300],
      [{expires_in: 300, issued_at: '1999-01-01T00:00:00Z'}, 0],
      [{expires_in: 300, issued_at: 'nonsense'}, 300],
    ] as const) {
      it(`${JSON.stringify(answer)} is ${life} s`, async function () {
        const server = await TestServer.start((_request, response) => {
          response.setHeader('date', date)
          json(response, 200, {...answer, token: 'T'})
        })
        const token = await ask(server.url('/'))
        expect(token.expiresAt - clock.now()).to.equal(life * 1000)
        expect(token.refreshAt - clock.now()).to.equal(life * 800)
      })
    }
  })

  describe('that refuse', function () {
    for (const [status, body, code] of [
      [401, {errors: [{code: 'UNAUTHORIZED', message: 'bad password CANARY'}]}, 'UNAUTHORIZED'],
      [403, {details: 'CANARY is not welcome'}, 'FORBIDDEN'],
      [400, {error: 'invalid_grant', error_description: 'token CANARY is over'}, 'UNAUTHORIZED'],
      [400, {error: 'CANARY'}, 'REGISTRY'],
      [404, {errors: [{code: 'NAME_UNKNOWN'}]}, 'REGISTRY'],
      [405, {}, 'REGISTRY'],
      [429, {}, 'RATE_LIMITED'],
      [500, 'CANARY', 'REGISTRY'],
    ] as const) {
      it(`with ${status} are ${code}, and not a word of theirs is repeated`, async function () {
        const server = await TestServer.start((request, response) => {
          request.raw.resume()
          json(response, status, body)
        })
        const error = await failureOf(ask(server.url('/'), {credential: IDENTITY}))
        expect(error.code).to.equal(code)
        expect(error.facts).to.include({status: status === 400 && code === 'UNAUTHORIZED' ? 401 : status})
        expect(JSON.stringify(error) + error.stack).to.not.contain('CANARY')
      })
    }
  })

  describe('that answer nonsense', function () {
    for (const [what, text] of [
      ['nothing', ''],
      ['a web page', '<html>CANARY</html>'],
      ['a list', '["CANARY"]'],
      ['no token', '{"expires_in":300}'],
      ['an empty token', '{"token":""}'],
      ['a number', '{"token":17}'],
      ['a token with a line break', JSON.stringify({token: 'CANARY\r\nX-Evil: 1'})],
      ['too much', `{"token":"${'C'.repeat(600 * 1024)}"}`],
    ] as const) {
      it(`such as ${what} are a protocol error`, async function () {
        const server = await TestServer.start(send(text))
        const error = await failureOf(ask(server.url('/')))
        expect(error.code).to.equal('PROTOCOL')
        expect(JSON.stringify(error)).to.not.contain('CANARY')
      })
    }

    it('do not get more than their share read', async function () {
      const server = await TestServer.start((_request, response) => {
        const more = () => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x')));
        }

        response.on('drain', more)
        more()
      })
      expect((await failureOf(ask(server.url('/')))).code).to.equal('PROTOCOL')
    })
  })

  describe('get no credential', function () {
    const registry = new URL('https://registry.example/')
    for (const [realm, from, credential] of [
      ['http://auth.example/token', registry, undefined],
      ['http://127.0.0.1:1/token', registry, PASSWORD],
      ['http://auth.example/token', new URL('http://registry.example/'), PASSWORD],
      ['http://auth.example/token', new URL('http://registry.example/'), IDENTITY],
      ['ftp://auth.example/token', registry, PASSWORD],
      ['//auth.example/token', registry, PASSWORD],
      ['/token', registry, PASSWORD],
      ['', registry, PASSWORD],
      ['https://me:pw@auth.example/token', registry, PASSWORD],
    ] as const) {
      it(`at ${realm || 'nowhere'} from ${from.protocol}//, ${credential?.kind ?? 'anonymous'}`, async function () {
        client.send = () => {
          throw new Error('nothing should be sent')
        }

        const error = await failureOf(ask(realm, {credential, registry: from}))
        expect(error.code).to.be.oneOf(['PROTOCOL', 'UNAUTHORIZED'])
        expect(JSON.stringify(error)).to.not.contain('CANARY').and.not.contain('pw@')
      })
    }

    it('through a redirect, neither by GET nor by POST', async function () {
      const thief = await TestServer.start((_request, response) => json(response, 200, {token: 'T'}))
      const server = await TestServer.start((request, response) => {
        request.raw.resume()
        response.writeHead(307, {location: thief.url('/').href}).end()
      })
      await ask(server.url('/'), {credential: PASSWORD})
      expect(thief.requests[0]?.headers.authorization).to.be.undefined
      const error = await failureOf(ask(server.url('/'), {credential: IDENTITY}))
      expect(error.code).to.equal('PROTOCOL')
      expect(thief.requests).to.have.length(1)
    })
  })

  for (const realm of ['http://registry.example:81/token', 'http://127.0.0.1:81/token', 'https://auth.example/']) {
    it(`may be at ${realm} for a registry of plain http`, async function () {
      const sent: string[] = []
      client.send = async ({url}) => {
        sent.push(url.origin)
        throw new Error('enough')
      }

      await failureOf(ask(realm, {credential: PASSWORD, registry: new URL('http://registry.example/')}))
      expect(sent).to.deep.equal([new URL(realm).origin])
    })
  }
})
