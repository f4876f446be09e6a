import {expect} from 'chai'

import type {HttpClient, HttpRequest} from '../../../../src/registry/transport/http.js'

import {digestOf} from '../../../../src/registry/digest.js'
import {RemoteRepository} from '../../../../src/registry/remote/remote-repository.js'
import {bufferSource, readableOf} from '../../../../src/util/content-source.js'
import {failureOf} from '../../../helpers/failure.js'
import {blobOf} from '../../../helpers/registry-objects.js'

const BYTES = Buffer.from('content')
const EMPTY = Buffer.alloc(0)

/** A registry behind TLS that answers each upload with one Location. */
function registry(location: string): {repository: RemoteRepository; sent: HttpRequest[]} {
  const sent: HttpRequest[] = []
  const client: HttpClient = {
    close() {},
    async send(request) {
      sent.push(request)
      const status = request.method === 'POST' ? 202 : 201
      return {attempts: 1, body: readableOf(EMPTY), headers: {location}, status, url: request.url}
    },
  }
  const reference = {registry: 'registry.example:8443', repository: 'org/store'}
  return {repository: new RemoteRepository(reference, client), sent}
}

describe('Location of an upload over https', () => {
  const digest = digestOf(BYTES)
  const query = `digest=${encodeURIComponent(digest)}`
  const good: readonly (readonly [string, string])[] = [
    ['/u/1', `https://registry.example:8443/u/1?${query}`],
    ['/u/1?_state=a%2Bb%3D&x=a+b', `https://registry.example:8443/u/1?_state=a%2Bb%3D&x=a+b&${query}`],
    ['https://store.example/u?sig=%2F', `https://store.example/u?sig=%2F&${query}`],
    // The registry does not know of the TLS before it.
    ['http://registry.example:8443/u/1', `https://registry.example:8443/u/1?${query}`],
    ['http://registry.example/u/1', `https://registry.example:8443/u/1?${query}`],
  ]
  for (const [location, expected] of good) {
    it(`goes on at ${expected.split('?')[0]} after ${location}`, async () => {
      const {repository, sent} = registry(location)
      await repository.blobs.push(blobOf(BYTES), bufferSource(BYTES), {force: true})
      expect(sent.map(({method, url}) => `${method} ${url.href}`)).to.deep.equal([
        'POST https://registry.example:8443/v2/org/store/blobs/uploads/',
        `PUT ${expected}`,
      ])
    })
  }

  for (const location of ['http://store.example/u', 'http://registry.example:5000/u']) {
    it(`never leads to plain http: ${location}`, async () => {
      const {repository, sent} = registry(location)
      const error = await failureOf(repository.blobs.push(blobOf(BYTES), bufferSource(BYTES), {force: true}))
      expect(error.code).to.equal('PROTOCOL')
      expect(error.suggestions).to.have.length(1)
      expect(sent).to.have.length(1)
    })
  }
})
