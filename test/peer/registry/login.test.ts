import {expect} from 'chai'
import {createHash, createSign, X509Certificate} from 'node:crypto'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'

import type {HttpClient} from '../../../src/registry/transport/http.js'

import {explainCredential, standardCredentials} from '../../../src/registry/auth/credentials.js'
import {eraseLogin, saveLogin} from '../../../src/registry/auth/login-store.js'
import {Secret} from '../../../src/registry/auth/secret.js'
import {expectStatus} from '../../../src/registry/errors.js'
import {createHttpClient, type HttpClientOptions} from '../../../src/registry/transport/client.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {Authority, type Certificate} from '../../helpers/certificates.js'
import {TestHome} from '../../helpers/credential-helpers.js'
import {failureOf} from '../../helpers/failure.js'
import {scratchDir} from '../../helpers/hooks.js'
import {basic, bodyOf, closeServers, json, TestServer} from '../../helpers/http-server.js'
import {needPeer, runPeer, startPeer, stopPeers} from '../../helpers/peers.js'

const USER = 'operator'
const PASSWORD = 's3cret-79676697'
/** bcrypt of the password. */
const HTPASSWD = `${USER}:$2b$05$Q94patBRx0Z4fTn9nr/TleQIWW3XWfmWwipe9Eu2CgwOoJrfqb8Pq\n`
const SCOPES = ['repository:org/store:pull,push']

interface Auth {
  readonly env: NodeJS.ProcessEnv
  readonly tls?: Certificate
}

describe('logins of real registries', function () {
  const clients: HttpClient[] = []
  let dir: string

  beforeEach(function () {
    dir = scratchDir('peer')
  })

  afterEach(async function () {
    for (const client of clients.splice(0)) client.close()
    await stopPeers()
    await closeServers()
  })

  /** @returns the host of a registry with nothing in it */
  async function startRegistry(program: string, {env, tls}: Auth): Promise<string> {
    const config = join(dir, 'config.yml')
    writeFileSync(
      config,
      'version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /nowhere\nhttp:\n  addr: 127.0.0.1:0\n',
    )
    const [, port] = await startPeer(program, ['serve', config], {
      env: {
        ...env,
        OTEL_TRACES_EXPORTER: 'none',
        REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: join(dir, 'data'),
        ...(tls && {REGISTRY_HTTP_TLS_CERTIFICATE: tls.certFile, REGISTRY_HTTP_TLS_KEY: tls.keyFile}),
      },
      ready: /listening on 127\.0\.0\.1:(\d+)/,
    })
    return `127.0.0.1:${port}`
  }

  function passwordFile(): NodeJS.ProcessEnv {
    const path = join(dir, 'htpasswd')
    writeFileSync(path, HTPASSWD)
    return {REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_PATH: path, REGISTRY_AUTH_HTPASSWD_REALM: 'test'}
  }

  function newClient(options: HttpClientOptions): HttpClient {
    const client = createHttpClient(options)
    clients.push(client)
    return client
  }

  /** Pushes a blob and reads it back. */
  async function roundTrip(client: HttpClient, origin: string): Promise<string> {
    const content = Buffer.from('a blob of a test')
    const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`
    const started = await client.send({
      method: 'POST',
      scopes: SCOPES,
      url: new URL('/v2/org/store/blobs/uploads/', origin),
    })
    await expectStatus(started, [202], 'POST')
    const url = new URL(started.headers['location'] ?? '', origin)
    url.searchParams.set('digest', digest)
    const body = bufferSource(content)
    await expectStatus(await client.send({body, method: 'PUT', scopes: SCOPES, url}), [201], 'PUT')
    const blob = new URL(`/v2/org/store/blobs/${digest}`, origin)
    const response = await client.send({method: 'GET', scopes: ['repository:org/store:pull'], url: blob})
    return bodyOf(await expectStatus(response, [200], 'GET'))
  }

  for (const program of ['docker-registry', 'registry']) {
    describe(program, function () {
      it('takes user and password over TLS of a private authority', async function () {
        const path = needPeer(this, program)
        const authority = await Authority.make()
        const tls = await authority.issue(['127.0.0.1'])
        const origin = `https://${await startRegistry(path, {env: passwordFile(), tls})}`
        const options = {origin, tls: {caFile: authority.own.certFile}}
        const right = standardCredentials({env: {}, password: PASSWORD, username: USER})
        expect(await roundTrip(newClient({...options, credentials: right}), origin)).to.equal('a blob of a test')

        for (const credentials of [
          standardCredentials({env: {HOME: dir}}),
          standardCredentials({env: {}, password: 'not-the-password', username: USER}),
        ]) {
          const error = await failureOf(roundTrip(newClient({...options, credentials}), origin))
          expect(error.code).to.equal('UNAUTHORIZED')
        }

        const untrusting = newClient({credentials: right, origin})
        expect((await failureOf(roundTrip(untrusting, origin))).facts['reason']).to.equal('tls')
        const plain = `http://${new URL(origin).host}`
        const error = await failureOf(roundTrip(newClient({credentials: right, origin: plain}), plain))
        expect(error.suggestions.join(' ')).to.contain('--no-plain-http')
      })

      it('takes tokens of a service, asked for by its own challenge', async function () {
        const path = needPeer(this, program)
        const authority = await Authority.make()
        const signer = await authority.issue(['token-service'])
        const service = await tokenService(signer)
        const host = await startRegistry(path, {
          env: {
            REGISTRY_AUTH: 'token',
            REGISTRY_AUTH_TOKEN_ISSUER: 'test-issuer',
            REGISTRY_AUTH_TOKEN_REALM: service.url('/token').href,
            REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE: authority.own.certFile,
            REGISTRY_AUTH_TOKEN_SERVICE: 'test-registry',
          },
        })
        const origin = `http://${host}`
        const credentials = standardCredentials({env: {}, password: PASSWORD, username: USER})
        const client = newClient({credentials, origin})
        expect(await roundTrip(client, origin)).to.equal('a blob of a test')
        const asked = service.requests.map(({url}) => new URL(url, service.origin).searchParams.getAll('scope'))
        expect(asked).to.deep.equal([['repository:org/store:pull,push'], ['repository:org/store:pull']])
        const wrong = standardCredentials({env: {}, password: 'not-the-password', username: USER})
        const error = await failureOf(roundTrip(newClient({credentials: wrong, origin}), origin))
        expect(error.code).to.equal('UNAUTHORIZED')
      })
    })
  }

  describe('of other clients', function () {
    let host: string
    let home: TestHome

    beforeEach(async function () {
      host = await startRegistry(needPeer(this, 'docker-registry'), {env: passwordFile()})
      home = new TestHome()
      const origin = `http://${host}`
      const credentials = standardCredentials({env: {}, password: PASSWORD, username: USER})
      await roundTrip(newClient({credentials, origin}), origin)
    })

    const clientsOf = {
      crane: {
        list: () => ['catalog', '--insecure', host],
        login: () => ['auth', 'login', host, '-u', USER, '--password-stdin'],
      },
      oras: {
        list: () => ['repo', 'ls', '--plain-http', host],
        login: () => ['login', '--plain-http', host, '-u', USER, '--password-stdin'],
      },
      skopeo: {
        list: () => ['list-tags', '--tls-verify=false', `docker://${host}/org/store`],
        login: () => ['login', '--tls-verify=false', host, '-u', USER, '--password-stdin'],
      },
    } as const

    for (const [name, commands] of Object.entries(clientsOf)) {
      it(`${name} finds the login that we keep`, async function () {
        const path = needPeer(this, name)
        const env = {
          DOCKER_CONFIG: home.path('docker'),
          HOME: home.dir,
          REGISTRY_AUTH_FILE: home.path('docker', 'config.json'),
        }
        const before = await runPeer(path, commands.list(), {env})
        expect(before.output).to.match(/unauthorized|authentication required|basic credential/i)
        await saveLogin(host, {kind: 'basic', password: new Secret(PASSWORD), username: USER}, {env})
        const after = await runPeer(path, commands.list(), {env})
        expect(after.output).to.not.match(/unauthorized|authentication required|basic credential/i)
        // skopeo has nothing to list: there is a blob in the repository, and no tag.
        if (name !== 'skopeo') expect(after).to.deep.include({output: 'org/store\n', status: 0})
      })

      it(`we find the login that ${name} keeps, and forget it`, async function () {
        const path = needPeer(this, name)
        const env = {DOCKER_CONFIG: home.path('docker'), HOME: home.dir, REGISTRY_AUTH_FILE: undefined}
        const file = name === 'skopeo' ? home.path('auth.json') : home.path('docker', 'config.json')
        const extra = name === 'skopeo' ? ['--authfile', file] : []
        const done = await runPeer(path, [...commands.login(), ...extra], {env, input: PASSWORD})
        expect(done.status, done.output).to.equal(0)
        const mine = {...env, REGISTRY_AUTH_FILE: file}
        const credentials = standardCredentials({env: mine})
        expect(await explainCredential({registry: host}, credentials)).to.deep.equal({
          found: true,
          kind: 'basic',
          origin: {file, key: host, source: 'file'},
          registry: host,
          username: USER,
        })
        const origin = `http://${host}`
        expect(await roundTrip(newClient({credentials, origin}), origin)).to.equal('a blob of a test')
        expect(await eraseLogin(host, {env: mine, file})).to.deep.equal({file})
        expect((await explainCredential({registry: host}, credentials)).found).to.be.false
      })
    }
  })
})

/** Gives out what is asked for, signed so that the registry believes it. */
async function tokenService(signer: Certificate): Promise<TestServer> {
  return TestServer.start((request, response) => {
    if (request.headers.authorization !== basic(USER, PASSWORD)) {
      json(response, 401, {errors: [{code: 'UNAUTHORIZED', message: 'no'}]})
      return
    }

    const query = new URL(request.url, 'http://x').searchParams
    const access = query.getAll('scope').map((scope) => {
      const [type, name, actions = ''] = scope.split(':')
      return {actions: actions.split(','), name, type}
    })
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      access,
      aud: query.get('service'),
      exp: now + 300,
      iat: now,
      iss: 'test-issuer',
      jti: String(now),
      nbf: now - 10,
      sub: USER,
    }
    const header = {alg: 'ES256', typ: 'JWT', x5c: [new X509Certificate(signer.cert).raw.toString('base64')]}
    const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    const signature = createSign('sha256').update(text).sign({dsaEncoding: 'ieee-p1363', key: signer.key})
    json(response, 200, {expires_in: 300, token: `${text}.${signature.toString('base64url')}`}) // eslint-disable-line camelcase -- the wire's name
  })
}
