import {expect} from 'chai'

import type {HttpClient} from '../../../../src/registry/transport/http.js'

import {expectStatus} from '../../../../src/registry/errors.js'
import {createHttpClient} from '../../../../src/registry/transport/client.js'
import {basicRegistry, BearerRegistry, challenged, DENIED, TestCredentials} from '../../../helpers/auth-servers.js'
import {failureOf} from '../../../helpers/failure.js'
import {FakeClock} from '../../../helpers/fake-clock.js'
import {closeServers, json, TestServer} from '../../../helpers/http-server.js'

const basicAsked = () => basicRegistry('me', 'pw')
const nothingAsked = () => TestServer.start((_request, response) => json(response, 401, DENIED))
const otherAsked = () => TestServer.start((_request, response) => json(challenged(response, 'Negotiate'), 401, DENIED))

async function closedService(): Promise<TestServer> {
  return (await BearerRegistry.start({login: ['me', 'pw']})).registry
}

/** Gives a token to anybody, which opens nothing. */
async function uselessTokens(): Promise<TestServer> {
  const server: TestServer = await TestServer.start((request, response) => {
    if (request.url.startsWith('/token')) json(response, 200, {token: 'anonymous'})
    else json(challenged(response, `Bearer realm="${server.url('/token')}"`), 401, DENIED)
  })
  return server
}

async function answer(client: HttpClient, server: TestServer): Promise<unknown> {
  return expectStatus(await client.send({method: 'GET', url: server.url('/v2/')}), [200], 'GET')
}

const NONE_FOUND = /none was found.*login HOST.*KLOSET_OCI_USERNAME.*auth explain/
const UNASKED = /No login was sent, because the answer did not ask.*proxy.*auth explain.*KLOSET_OCI_USERNAME/
const REFUSED = /check the user and password given/

describe('the next step after a 401', function () {
  let client: HttpClient

  afterEach(async function () {
    client.close()
    await closeServers()
  })

  const cases: [string, () => Promise<TestServer>, string | undefined, RegExp][] = [
    ['no login was asked for, and there is none', nothingAsked, undefined, UNASKED],
    ['no login was asked for, and there is one', nothingAsked, 'me', UNASKED],
    ['a login of an unknown kind was asked for', otherAsked, 'me', UNASKED],
    ['there is no login for a challenge of basic', basicAsked, undefined, NONE_FOUND],
    ['there is no login for the token service', closedService, undefined, NONE_FOUND],
    ['the token that anybody gets opens nothing', uselessTokens, undefined, NONE_FOUND],
    ['the login is wrong', basicAsked, 'me', REFUSED],
    ['the token service refuses the login', closedService, 'me', REFUSED],
    ['the token of a login opens nothing', uselessTokens, 'me', REFUSED],
  ]
  for (const [what, start, username, advice] of cases) {
    it(what, async function () {
      const server = await start()
      const credentials = new TestCredentials(username)
      client = createHttpClient({clock: new FakeClock(), credentials, origin: server.origin, random: () => 0})
      // The first request is asked how to get in, the second one knows.
      for (const time of ['first', 'second']) {
        const error = await failureOf(answer(client, server))
        expect(error.code, time).to.equal('UNAUTHORIZED')
        expect(error.suggestions, time).to.have.length(1)
        expect(error.suggestions[0], time).to.match(advice)
      }
    })
  }
})
