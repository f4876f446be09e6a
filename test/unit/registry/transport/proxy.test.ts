import {expect} from 'chai'
import {setTimeout as delay} from 'node:timers/promises'

import type {Timeouts} from '../../../../src/registry/transport/options.js'

import {AxiosClient} from '../../../../src/registry/transport/axios-client.js'
import {tlsConnectOptions} from '../../../../src/registry/transport/tls.js'
import {bufferSource} from '../../../../src/util/content-source.js'
import {Authority, type Certificate} from '../../../helpers/certificates.js'
import {failureOf} from '../../../helpers/failure.js'
import {bodyOf, closeServers, type Handler, TestServer} from '../../../helpers/http-server.js'
import {TestProxy, type TestProxyOptions} from '../../../helpers/proxy.js'

const NAMES = [
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'all_proxy',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
]

const echo: Handler = async (request, response) => {
  let size = 0
  for await (const chunk of request.raw) size += (chunk as Buffer).length
  response.end(`${request.method} ${request.url} ${size}`)
}

function at(scheme: string, {port}: TestServer, path = '/v2/'): URL {
  return new URL(`${scheme}://registry.example:${port}${path}`)
}

describe('proxies', function () {
  let authority: Authority
  let certificate: Certificate
  const saved = new Map<string, string | undefined>()
  const clients: AxiosClient[] = []
  const proxies: TestProxy[] = []

  before(async function () {
    authority = await Authority.make()
    certificate = await authority.issue(['registry.example'])
  })

  beforeEach(function () {
    for (const name of NAMES) {
      saved.set(name, process.env[name])
      delete process.env[name]
    }
  })

  afterEach(async function () {
    for (const [name, value] of saved) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }

    for (const client of clients.splice(0)) client.close()
    for (const proxy of proxies.splice(0)) await proxy.close()
    await closeServers()
  })

  async function newProxy(options: TestProxyOptions = {}): Promise<TestProxy> {
    const proxy = await TestProxy.start(options)
    proxies.push(proxy)
    return proxy
  }

  function newClient(timeouts: Timeouts = {}): AxiosClient {
    const client = new AxiosClient({concurrency: 2, timeouts, tls: tlsConnectOptions({caFile: authority.own.certFile})})
    clients.push(client)
    return client
  }

  it('tunnels https, with a private authority behind it', async function () {
    const server = await TestServer.start(echo, certificate)
    const proxy = await newProxy()
    process.env['HTTPS_PROXY'] = proxy.url
    const client = newClient()
    const body = bufferSource(Buffer.alloc(1_000_000))
    const headers = {authorization: 'Bearer CANARY'}
    const url = at('https', server)
    for (let index = 0; index < 3; index++) {
      expect(await bodyOf(await client.send({body, headers, method: 'PUT', url}))).to.equal('PUT /v2/ 1000000')
    }

    // One tunnel for all three, and nothing of them to be read by the proxy.
    expect(proxy.asked).to.deep.equal([`CONNECT registry.example:${server.port}`])
    expect(JSON.stringify(proxy.headers)).to.not.contain('CANARY')
    expect(server.requests[0]?.headers.authorization).to.equal('Bearer CANARY')
  })

  it('checks the certificate behind the tunnel too', async function () {
    const server = await TestServer.start(echo, await authority.issue(['other.example']))
    const proxy = await newProxy()
    process.env['HTTPS_PROXY'] = proxy.url
    const error = await failureOf(newClient().send({method: 'GET', url: at('https', server)}))
    expect(error.facts['reason']).to.equal('tls')
    expect(server.requests).to.be.empty
  })

  it('opens no more tunnels than it may', async function () {
    const server = await TestServer.start(echo, certificate)
    const proxy = await newProxy()
    process.env['HTTPS_PROXY'] = proxy.url
    const client = newClient()
    const url = at('https', server)
    const all = Array.from({length: 8}, async () => bodyOf(await client.send({method: 'GET', url})))
    expect(new Set(await Promise.all(all))).to.deep.equal(new Set(['GET /v2/ 0']))
    expect(proxy.asked).to.have.length(2)
  })

  it('reaches a proxy that speaks TLS itself', async function () {
    const tls = await authority.issue(['127.0.0.1'])
    const proxy = await newProxy({login: 'me:pw', tls})
    const url = proxy.url.replace('//', '//me:pw@')
    process.env['HTTPS_PROXY'] = url
    process.env['HTTP_PROXY'] = url
    const secure = await TestServer.start(echo, certificate)
    const plain = await TestServer.start(echo)
    const client = newClient()
    expect(await bodyOf(await client.send({method: 'GET', url: at('https', secure)}))).to.equal('GET /v2/ 0')
    expect(await bodyOf(await client.send({method: 'GET', url: at('http', plain)}))).to.equal('GET /v2/ 0')
    expect(proxy.asked).to.have.length(2)
  })

  it('shows the proxy its login, and only the proxy', async function () {
    const proxy = await newProxy({login: 'me:s@crét'})
    const withLogin = proxy.url.replace('//', `//me:${encodeURIComponent('s@crét')}@`)
    process.env['HTTPS_PROXY'] = withLogin
    process.env['HTTP_PROXY'] = withLogin
    const secure = await TestServer.start(echo, certificate)
    const plain = await TestServer.start(echo)
    const client = newClient()
    expect(await bodyOf(await client.send({method: 'GET', url: at('https', secure)}))).to.equal('GET /v2/ 0')
    expect(await bodyOf(await client.send({method: 'GET', url: at('http', plain)}))).to.equal('GET /v2/ 0')
    for (const {headers} of [...secure.requests, ...plain.requests]) {
      expect(headers['proxy-authorization']).to.be.undefined
    }
  })

  it('hands plain http over with its whole address', async function () {
    const server = await TestServer.start(echo)
    const proxy = await newProxy()
    process.env['HTTP_PROXY'] = proxy.url
    const client = newClient()
    const body = bufferSource(Buffer.alloc(70_000))
    const url = at('http', server, '/v2/a?n=1')
    expect(await bodyOf(await client.send({body, method: 'PUT', url}))).to.equal('PUT /v2/a?n=1 70000')
    expect(proxy.asked).to.deep.equal([`PUT ${url.href}`])
    expect(server.requests[0]?.headers.host).to.equal(`registry.example:${server.port}`)
  })

  it('goes around it for NO_PROXY, and always for this machine', async function () {
    const server = await TestServer.start(echo)
    const proxy = await newProxy()
    process.env['HTTP_PROXY'] = proxy.url
    expect(await bodyOf(await newClient().send({method: 'GET', url: server.url('/')}))).to.equal('GET / 0')
    const local = new URL(`http://localhost:${server.port}/`)
    expect(await bodyOf(await newClient().send({method: 'GET', url: local}))).to.equal('GET / 0')
    process.env['NO_PROXY'] = '.invalid'
    const error = await failureOf(newClient().send({method: 'GET', url: new URL('http://registry.invalid/')}))
    expect(error.facts['reason']).to.be.oneOf(['dns', 'unreachable'])
    expect(proxy.asked).to.be.empty
  })

  it('says that the proxy wants a login', async function () {
    const server = await TestServer.start(echo, certificate)
    const proxy = await newProxy({login: 'me:secret'})
    process.env['HTTPS_PROXY'] = proxy.url.replace('//', '//me:CANARY@')
    const error = await failureOf(newClient().send({method: 'GET', url: at('https', server)}))
    expect(error.facts['reason']).to.equal('proxy')
    expect(error.suggestions.join(' ')).to.contain('HTTPS_PROXY')
    expect(JSON.stringify(error) + error.stack).to.not.contain('CANARY')
    process.env['HTTP_PROXY'] = process.env['HTTPS_PROXY']
    const plain = await failureOf(newClient().send({method: 'GET', url: at('http', server)}))
    expect(plain.facts['reason']).to.equal('proxy')
    expect(plain.message).to.contain('the proxy asks for credentials (407)')
    expect(JSON.stringify(plain) + plain.stack).to.not.contain('CANARY')
  })

  it("never takes a proxy's answer for the registry's", async function () {
    const server = await TestServer.start(echo, certificate)
    const proxy = await newProxy({
      reply:
        'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="https://evil.example/"\r\nContent-Length: 0\r\n\r\n',
    })
    process.env['HTTPS_PROXY'] = proxy.url
    const error = await failureOf(newClient().send({method: 'GET', url: at('https', server)}))
    expect(error.facts['reason']).to.equal('proxy')
    expect(error.message).to.contain('401')
  })

  it('gives up on a proxy that says nothing', async function () {
    const server = await TestServer.start(echo, certificate)
    const proxy = await newProxy({mute: true})
    process.env['HTTPS_PROXY'] = proxy.url
    const error = await failureOf(newClient({connect: 80}).send({method: 'GET', url: at('https', server)}))
    expect(error.facts['reason']).to.equal('timeout')
  })

  it('ends the way to the proxy when aborted', async function () {
    const server = await TestServer.start(echo, certificate)
    const proxy = await newProxy({mute: true})
    process.env['HTTPS_PROXY'] = proxy.url
    const controller = new AbortController()
    const sent = failureOf(newClient().send({method: 'GET', signal: controller.signal, url: at('https', server)}))
    while (proxy.asked.length === 0) await delay(1)
    controller.abort()
    expect((await sent).code).to.equal('INTERRUPTED')
  })

  it('says that no proxy listens', async function () {
    process.env['HTTPS_PROXY'] = 'http://127.0.0.1:1'
    const error = await failureOf(newClient().send({method: 'GET', url: new URL('https://registry.example/')}))
    expect(error.code).to.equal('UNREACHABLE')
    expect(error.facts['reason']).to.equal('refused')
    expect(error.message).to.contain('the proxy cannot be reached: nothing listens on 127.0.0.1:1')
    process.env['HTTP_PROXY'] = 'http://proxy.invalid:3128'
    const unknown = await failureOf(newClient().send({method: 'GET', url: new URL('http://registry.example/')}))
    expect(unknown.message).to.contain('the proxy cannot be reached').and.contain('proxy.invalid')
    expect(unknown.suggestions.join(' ')).to.contain('HTTP_PROXY').and.not.contain('registry.example')
  })

  it('says that the proxy hung up', async function () {
    const proxy = await newProxy({reply: 'SSH-2.0\r\n'})
    process.env['HTTPS_PROXY'] = proxy.url
    const error = await failureOf(newClient().send({method: 'GET', url: new URL('https://registry.example/')}))
    expect(error.facts['reason']).to.equal('proxy')
    expect(error.message).to.contain('before there was a tunnel')
  })

  for (const value of ['socks5://127.0.0.1:1', 'http://:::']) {
    it(`refuses ${value}`, async function () {
      process.env['HTTPS_PROXY'] = value
      const error = await failureOf(newClient().send({method: 'GET', url: new URL('https://registry.example/')}))
      expect(error.code).to.equal('INVALID_ARGUMENT')
    })
  }
})
