import {expect} from 'chai'

import {digestOf} from '../../../../src/registry/digest.js'
import {followed, RepositoryUrls} from '../../../../src/registry/remote/urls.js'

const DIGEST = digestOf(Buffer.from('x'))

describe('addresses', () => {
  describe('of a repository', () => {
    const urls = new RepositoryUrls(new URL('https://registry.example:8443/'), 'org/my-store')
    const root = 'https://registry.example:8443/v2/org/my-store'

    it('are those of the specification', () => {
      expect(urls.api.href).to.equal('https://registry.example:8443/v2/')
      expect(urls.uploads.href).to.equal(`${root}/blobs/uploads/`)
      expect(urls.blob(DIGEST).href).to.equal(`${root}/blobs/${DIGEST}`)
      expect(urls.manifest('CONFIG').href).to.equal(`${root}/manifests/CONFIG`)
      expect(urls.manifest(DIGEST).href).to.equal(`${root}/manifests/${DIGEST}`)
      expect(urls.referrers(DIGEST).href).to.equal(`${root}/referrers/${DIGEST}`)
      expect(urls.tags().href).to.equal(`${root}/tags/list`)
      expect(urls.tags({last: 'a.b-c_D', n: 100}).href).to.equal(`${root}/tags/list?n=100&last=a.b-c_D`)
    })

    it('encode what goes into a query', () => {
      const {searchParams} = urls.mount(DIGEST, 'other/repo')
      expect(Object.fromEntries(searchParams)).to.deep.equal({from: 'other/repo', mount: DIGEST})
    })
  })

  describe('that a registry hands out', () => {
    const base = new URL('https://registry.example/v2/a/blobs/uploads/')
    const table: readonly [string, string | undefined][] = [
      [
        '/v2/a/blobs/uploads/1?_state=a%2Fb%3D&x=%20',
        'https://registry.example/v2/a/blobs/uploads/1?_state=a%2Fb%3D&x=%20',
      ],
      ['1?_state=a', 'https://registry.example/v2/a/blobs/uploads/1?_state=a'],
      ['https://store.example/u?sig=1#part', 'https://store.example/u?sig=1'],
      ['https://user:secret@store.example/u', 'https://store.example/u'],
      // A proxy ends TLS and the registry behind it does not know.
      ['http://registry.example/v2/x', 'https://registry.example/v2/x'],
      // Another port is another server: its scheme is not ours to choose.
      ['http://registry.example:5000/v2/x', 'http://registry.example:5000/v2/x'],
      ['http://store.example/u', 'http://store.example/u'],
      ['ftp://store.example/u', undefined],
      ['http://[', undefined],
    ]
    for (const [text, expected] of table) {
      it(`takes ${text} for ${expected ?? 'nothing'}`, () => {
        expect(followed(text, base)?.href).to.equal(expected)
      })
    }

    it('keeps scheme and port of a registry on a port of its own', () => {
      const other = new URL('https://registry.example:8443/v2/')
      expect(followed('http://registry.example:8443/x', other)?.href).to.equal('https://registry.example:8443/x')
      expect(followed('http://registry.example/x', other)?.href).to.equal('https://registry.example:8443/x')
    })
  })
})
