import {expect} from 'chai'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import tls from 'node:tls'

import type {TlsOptions} from '../../../../src/registry/transport/options.js'

import {AxiosClient} from '../../../../src/registry/transport/axios-client.js'
import {tlsConnectOptions} from '../../../../src/registry/transport/tls.js'
import {Authority, type Certificate} from '../../../helpers/certificates.js'
import {failureIn, failureOf} from '../../../helpers/failure.js'
import {scratchDir} from '../../../helpers/hooks.js'
import {bodyOf, closeServers, type Handler, TestServer} from '../../../helpers/http-server.js'

const hello: Handler = (_request, response) => {
  response.end('hello')
}

describe('TLS', function () {
  let authority: Authority
  let certificate: Certificate
  const clients: AxiosClient[] = []

  before(async function () {
    authority = await Authority.make()
    certificate = await authority.issue(['localhost', '127.0.0.1'])
  })

  afterEach(async function () {
    for (const client of clients.splice(0)) client.close()
    await closeServers()
  })

  function newClient(tls: TlsOptions = {}): AxiosClient {
    const client = new AxiosClient({tls: tlsConnectOptions(tls)})
    clients.push(client)
    return client
  }

  const get = async (client: AxiosClient, server: TestServer, host = '127.0.0.1') =>
    bodyOf(await client.send({method: 'GET', url: new URL(`https://${host}:${server.port}/`)}))

  it('believes a private authority that it is given', async function () {
    const server = await TestServer.start(hello, certificate)
    const client = newClient({caFile: authority.own.certFile})
    expect(await get(client, server)).to.equal('hello')
    expect(await get(client, server, 'localhost')).to.equal('hello')
  })

  it('adds it to the roots there are, and does not replace them', async function () {
    // Newer versions of Node read this variable once, before any test could set it.
    if ('getCACertificates' in tls) this.skip()
    // Instead of a public host: a second authority that Node itself was told of.
    const known = await Authority.make()
    const server = await TestServer.start(hello, await known.issue(['127.0.0.1']))
    const before = process.env['NODE_EXTRA_CA_CERTS']
    process.env['NODE_EXTRA_CA_CERTS'] = known.own.certFile
    try {
      expect(await get(newClient({caFile: authority.own.certFile}), server)).to.equal('hello')
    } finally {
      if (before === undefined) delete process.env['NODE_EXTRA_CA_CERTS']
      else process.env['NODE_EXTRA_CA_CERTS'] = before
    }
  })

  it('believes no private authority otherwise, and says which option would help', async function () {
    const server = await TestServer.start(hello, certificate)
    const error = await failureOf(get(newClient(), server))
    expect(error.code).to.equal('UNREACHABLE')
    expect(error.facts['reason']).to.equal('tls')
    expect(error.suggestions.join(' ')).to.contain('--ca-file').and.contain('--insecure-skip-tls-verify')
    expect(server.requests).to.be.empty
  })

  it('recognises a self-signed certificate', async function () {
    const server = await TestServer.start(hello, await Authority.selfSigned('127.0.0.1'))
    const error = await failureOf(get(newClient(), server))
    expect(error.message).to.contain('self-signed')
    expect(error.suggestions.join(' ')).to.contain('--ca-file')
  })

  it('recognises an expired certificate', async function () {
    const dates = {notAfterDate: new Date('2020-02-01'), notBeforeDate: new Date('2020-01-01')}
    const server = await TestServer.start(hello, await authority.issue(['127.0.0.1'], dates))
    const error = await failureOf(get(newClient({caFile: authority.own.certFile}), server))
    expect(error.message).to.contain('expired')
    expect(error.suggestions.join(' ')).to.contain('clock')
  })

  it('recognises a certificate of another host', async function () {
    const server = await TestServer.start(hello, await authority.issue(['other.example']))
    const error = await failureOf(get(newClient({caFile: authority.own.certFile}), server))
    expect(error.message).to.contain('another host name')
  })

  it('takes anything when told to skip the check', async function () {
    const server = await TestServer.start(hello, await authority.issue(['other.example']))
    expect(await get(newClient({insecureSkipTlsVerify: true}), server)).to.equal('hello')
  })

  it('shows its own certificate when asked', async function () {
    const tls = {...certificate, ca: authority.own.cert, rejectUnauthorized: true, requestCert: true}
    const server = await TestServer.start(hello, tls)
    const mine = await authority.issue(['me'])
    const known = newClient({caFile: authority.own.certFile, certFile: mine.certFile, keyFile: mine.keyFile})
    expect(await get(known, server)).to.equal('hello')
    const unknown = await failureOf(get(newClient({caFile: authority.own.certFile}), server))
    expect(unknown.code).to.equal('UNREACHABLE')
  })

  it('speaks no version that is broken', async function () {
    const server = await TestServer.start(hello, {...certificate, maxVersion: 'TLSv1.1', minVersion: 'TLSv1'})
    const error = await failureOf(get(newClient({insecureSkipTlsVerify: true}), server))
    expect(error.code).to.equal('UNREACHABLE')
    expect(server.requests).to.be.empty
  })

  it('refuses files that it cannot use, by name', function () {
    const dir = scratchDir()
    const junk = join(dir, 'junk.pem')
    writeFileSync(junk, 'SECRET junk')
    const broken = join(dir, 'broken.pem')
    writeFileSync(broken, '-----BEGIN CERTIFICATE-----\nSECRET\n-----END CERTIFICATE-----\n')
    const other = authority.own.keyFile
    for (const [options, message] of [
      [{caFile: join(dir, 'absent')}, /absent: cannot be read \(ENOENT\)/],
      [{caFile: junk}, /junk\.pem: no certificate in it/],
      [{caFile: broken}, /broken\.pem: not usable for TLS/],
      [{certFile: certificate.certFile}, /belong together/],
      [{keyFile: certificate.keyFile}, /belong together/],
      [{certFile: certificate.certFile, keyFile: certificate.certFile}, /no private key in it/],
      [{certFile: certificate.certFile, keyFile: other}, /not usable for TLS/],
    ] as const) {
      const error = failureIn(() => tlsConnectOptions(options))
      expect(error.code).to.equal('INVALID_ARGUMENT')
      expect(error.message).to.match(message)
      expect(JSON.stringify(error)).to.not.contain('SECRET')
    }
  })
})
