import {expect} from 'chai'

import {FakeRegistry, sha256} from '../helpers/fake-registry.js'

/** The judge is judged too: what it must not let pass. */
describe('fake registry', () => {
  let fake: FakeRegistry

  beforeEach(async () => {
    fake = await FakeRegistry.start()
  })

  afterEach(async () => {
    await fake.stop()
  })

  const digest = sha256('x')
  const manifest = JSON.stringify({mediaType: 'application/vnd.oci.image.manifest.v1+json', schemaVersion: 2})
  const bad: Readonly<Record<string, readonly [string, RequestInit?]>> = {
    'a Cookie': ['/v2/', {headers: {cookie: 'a=b'}}],
    'a credential that nobody asked for': ['/v2/', {headers: {authorization: 'Basic x'}}],
    'a digest of no form': ['/v2/a/blobs/sha256:abc'],
    'a list of no tags': ['/v2/a/tags/list?n=0'],
    'a manifest of another type': [
      '/v2/a/manifests/t',
      {body: manifest, headers: {'content-type': 'application/json'}, method: 'PUT'},
    ],
    'a mount without a source': [`/v2/a/blobs/uploads/?mount=${digest}`, {method: 'POST'}],
    'an upload that begins with a body': ['/v2/a/blobs/uploads/', {body: 'x', method: 'POST'}],
    'a path that is none': ['/v2/a/blob/x'],
    'a range without an end': [`/v2/a/blobs/${digest}`, {headers: {range: 'bytes=0-'}}],
    'a tag of no form': ['/v2/a/manifests/-t'],
    'a wish for compression': ['/v2/', {headers: {'accept-encoding': 'gzip'}}],
    'no Accept for a manifest': ['/v2/a/manifests/t', {headers: {accept: '*/*'}}],
    'no manifest': ['/v2/a/manifests/t', {body: '<html>', method: 'PUT'}],
    'parameters of a list that there are not': ['/v2/a/tags/list?limit=5'],
    'uppercase repositories': ['/v2/A/tags/list'],
  }
  for (const [name, [path, init]] of Object.entries(bad)) {
    it(`sees ${name}`, async () => {
      const store = fake.repository('a')
      store.addBlob('x')
      store.addImage('t', 'content')
      const identity = {'accept-encoding': 'identity', ...(init?.headers as Record<string, string>)}
      const response = await fetch(`${fake.origin}${path}`, {...init, headers: identity})
      await response.arrayBuffer()
      expect(fake.violations).to.have.length.above(0)
    })
  }

  it('sees an upload that does not use its latest Location, or breaks its chunks', async () => {
    const start = async () => {
      const response = await fetch(`${fake.origin}/v2/a/blobs/uploads/`, {
        headers: {'accept-encoding': 'identity'},
        method: 'POST',
      })
      return `${fake.origin}${response.headers.get('location')}`
    }

    const send = async (url: string, method: string, headers: Record<string, string>, body: string) => {
      const init = {
        body,
        headers: {'accept-encoding': 'identity', 'content-type': 'application/octet-stream', ...headers},
        method,
      }
      const response = await fetch(url, init)
      return {location: `${fake.origin}${response.headers.get('location')}`, status: response.status}
    }

    const first = await start()
    const chunk = await send(first, 'PATCH', {'content-range': '0-1'}, 'ab')
    expect(chunk.status).to.equal(202)
    expect(fake.violations).to.deep.equal([])
    expect((await send(first, 'PATCH', {'content-range': '2-3'}, 'cd')).status).to.equal(400)
    expect((await send(chunk.location, 'PATCH', {'content-range': '3-4'}, 'cd')).status).to.equal(416)
    expect((await send(chunk.location, 'PATCH', {}, 'cd')).status).to.equal(416)
    expect(fake.violations).to.have.length(3)
    expect((await send(`${chunk.location}&digest=${sha256('abcd')}`, 'PUT', {}, 'cd')).status).to.equal(201)
    expect((await send(`${await start()}&digest=${sha256('abc')}`, 'PUT', {}, 'abd')).status).to.equal(400)
    expect([...fake.repository('a').blobs.keys()]).to.deep.equal([sha256('abcd')])
  })

  it('does what a planned fault says, as often as it says, and then what it always does', async () => {
    fake.fail({method: 'GET', skip: 1, status: 503, times: 2})
    const statuses = []
    for (let round = 0; round < 5; round++) {
      const response = await fetch(`${fake.origin}/v2/`, {headers: {'accept-encoding': 'identity'}})
      statuses.push(response.status)
    }

    expect(statuses).to.deep.equal([200, 503, 503, 200, 200])
    expect(fake.count('GET')).to.equal(5)
  })
})
