import {expect} from 'chai'

import {
  credentialKey,
  formatLocation,
  formatReference,
  isLoopback,
  isRepositoryName,
  originOf,
  parseLocation,
  parseReference,
} from '../../../src/registry/reference.js'
import {failureIn} from '../../helpers/failure.js'

const DIGEST = `sha256:${'a1'.repeat(32)}`

describe('naming stores', function () {
  describe('references', function () {
    for (const [text, expected] of [
      ['oci://ghcr.io/org/store', {registry: 'ghcr.io', repository: 'org/store'}],
      ['oci://GHCR.io/org/store:Tag_1.x', {registry: 'ghcr.io', repository: 'org/store', tag: 'Tag_1.x'}],
      ['OCI://ghcr.io/a', {registry: 'ghcr.io', repository: 'a'}],
      ['oci://localhost:5000/a/b/c', {registry: 'localhost:5000', repository: 'a/b/c'}],
      ['oci://localhost:05000/a', {registry: 'localhost:5000', repository: 'a'}],
      ['oci://[::1]:5000/a', {registry: '[::1]:5000', repository: 'a'}],
      ['oci://[2001:DB8::7]/a', {registry: '[2001:db8::7]', repository: 'a'}],
      ['oci://10.0.0.7:1/a', {registry: '10.0.0.7:1', repository: 'a'}],
      ['oci://my_host.internal/a', {registry: 'my_host.internal', repository: 'a'}],
      [`oci://h/a@${DIGEST}`, {digest: DIGEST, registry: 'h', repository: 'a'}],
      [`oci://h:1/a/b:t@${DIGEST}`, {digest: DIGEST, registry: 'h:1', repository: 'a/b', tag: 't'}],
      ['oci://h/a.b/c_d/e__f/g---h/0', {registry: 'h', repository: 'a.b/c_d/e__f/g---h/0'}],
      ['  oci://h/a ', {registry: 'h', repository: 'a'}],
    ] as const) {
      it(`reads ${text}`, function () {
        expect(parseReference(text)).to.deep.equal(expected)
      })
    }

    it('writes what it reads', function () {
      for (const text of ['oci://h/a', 'oci://h:5000/a/b:t', `oci://[::1]:5000/a@${DIGEST}`, `oci://h/a:t@${DIGEST}`]) {
        expect(formatReference(parseReference(text))).to.equal(text)
      }
    })

    for (const [text, message, suggestion] of [
      ['', /empty/, /oci:\/\//],
      ['localhost:5000/a', /scheme is missing/, /oci:\/\/HOST/],
      ['./store.oci', /scheme is missing/, /oci-layout:\.\/store\.oci/],
      ['/srv/store', /scheme is missing/, /oci-layout:\/srv\/store/],
      ['https://ghcr.io/a/b', /https:\/\/ is not a scheme/, /oci:\/\/ghcr\.io\/a\/b/],
      ['docker://ghcr.io/a/b', /docker:\/\//, /oci:\/\/ghcr\.io\/a\/b/],
      ['oci://ghcr.io', /repository is missing/, /oci:\/\/ghcr\.io\/PATH/],
      ['oci://ghcr.io/', /repository is missing/, /ghcr\.io/],
      ['oci:///a', /host is missing/, /HOST/],
      ['oci://-host/a', /not a host name/, /HOST/],
      ['oci://ho st/a', /not a host name/, /HOST/],
      ['oci://höst/a', /not a host name/, /HOST/],
      ['oci://1.2.3/a', /not a host name/, /HOST/],
      ['oci://1.2.3.400/a', /not a host name/, /HOST/],
      ['oci://::1/a', /host is missing/, /\[::1]/],
      ['oci://[::1/a', /not a host name/, /\[::1]/],
      ['oci://[fe80::1%eth0]/a', /not a host name/, /\[::1]/],
      ['oci://host:/a', /port/, /5000/],
      ['oci://host:0/a', /port/, /5000/],
      ['oci://host:65536/a', /port/, /5000/],
      ['oci://host:5k/a', /port/, /5000/],
      ['oci://host/Org/Store', /not a repository path/, /oci:\/\/host\/org\/store/],
      ['oci://host/a//b', /not a repository path/, /lower-case/],
      ['oci://host/a/', /not a repository path/, /lower-case/],
      ['oci://host/a/../b', /not a repository path/, /lower-case/],
      ['oci://host/a___b', /not a repository path/, /lower-case/],
      ['oci://host/a..b', /not a repository path/, /lower-case/],
      ['oci://host/a-', /not a repository path/, /lower-case/],
      ['oci://host/a%2fb', /not a repository path/, /lower-case/],
      ['oci://host/a:', /not a tag/, /128/],
      ['oci://host/a:.t', /not a tag/, /128/],
      [`oci://host/a:${'t'.repeat(129)}`, /not a tag/, /128/],
      ['oci://host/a:t:u', /not a tag/, /128/],
      ['oci://host/a@sha256:abc', /not a digest/, /64 hex/],
      [`oci://host/a@${DIGEST.toUpperCase()}`, /not a digest/, /64 hex/],
      [`oci://host/${'a'.repeat(251)}`, /255/, /shorter/],
      ['oci://host/a?x=1', /no query/, /flags/],
      ['oci://host/a#f', /no query/, /flags/],
    ] as const) {
      it(`refuses "${text.slice(0, 60)}"`, function () {
        const error = failureIn(() => parseReference(text))
        expect(error.code).to.equal('INVALID_REFERENCE')
        expect(error.message).to.match(message)
        expect(error.suggestions.join(' ')).to.match(suggestion)
      })
    }

    it('takes a name of exactly 255 characters', function () {
      const repository = 'a'.repeat(255 - 'host/'.length)
      expect(parseReference(`oci://host/${repository}`).repository).to.equal(repository)
      expect(isRepositoryName('a'.repeat(256))).to.be.false
    })

    for (const text of [
      'oci://user:hunter2@host/a',
      'oci://user:hunter2@host:5000/a:t',
      'oci://user:hun/hunter2@host/a',
      'oci://hunter2@host/a',
      'oci://user:hunter2@host',
      `oci://user:hunter2@host/a@${DIGEST}`,
      'user:hunter2@host/a',
      'https://user:hunter2@host/a',
      'oci://user:hunter2@sha256:x@host/a',
      'oci://host/a@hunter2:b',
    ]) {
      it(`never repeats what may be a password (${text.replaceAll('hunter2', '…').slice(0, 60)})`, function () {
        const error = failureIn(() => parseReference(text))
        expect(error.code).to.equal('INVALID_REFERENCE')
        expect(JSON.stringify(error.toJSON()) + error.stack).to.not.contain('hunter2')
      })
    }

    it('never repeats a query', function () {
      const error = failureIn(() => parseReference('oci://host/a?token=hunter2'))
      expect(JSON.stringify(error.toJSON())).to.not.contain('hunter2')
      expect(JSON.stringify(failureIn(() => parseReference('http://host/a?token=hunter2')))).to.not.contain('hunter2')
    })

    it('keeps control characters off the terminal', function () {
      expect(failureIn(() => parseReference('oci://host/a\u001B[31m')).message).to.not.contain('\u001B')
    })

    it('reads a hostile name in no time', function () {
      const started = performance.now()
      failureIn(() => parseReference(`oci://host/${'a-'.repeat(50_000)}`))
      failureIn(() => parseReference(`oci://host/${'a_'.repeat(120)}!`))
      expect(performance.now() - started).to.be.below(1000)
    })
  })

  describe('locations of stores', function () {
    it('tells registries from directories', function () {
      expect(parseLocation('oci-layout:./a b.oci')).to.deep.equal({kind: 'layout', path: './a b.oci'})
      expect(parseLocation(String.raw`oci-layout:C:\stores\a`)).to.deep.equal({
        kind: 'layout',
        path: String.raw`C:\stores\a`,
      })
      expect(parseLocation('oci://h/a')).to.deep.equal({kind: 'registry', reference: {registry: 'h', repository: 'a'}})
      for (const text of ['oci-layout:/srv/x', 'oci://h/a:t'])
        expect(formatLocation(parseLocation(text))).to.equal(text)
    })

    it('wants a path', function () {
      expect(failureIn(() => parseLocation('oci-layout:')).code).to.equal('INVALID_REFERENCE')
      expect(failureIn(() => parseLocation('oci-layout:a\0b')).code).to.equal('INVALID_REFERENCE')
    })
  })

  describe('loopback hosts', function () {
    for (const host of [
      'localhost',
      'LOCALHOST:5000',
      'registry.localhost',
      'localhost.',
      '127.0.0.1',
      '127.8.9.1:5000',
      '::1',
      '[::1]',
      '[::1]:5000',
      '[0:0:0:0:0:0:0:1]:80',
      '[::ffff:127.0.0.1]',
    ]) {
      it(`${host} is one`, function () {
        expect(isLoopback(host)).to.be.true
      })
    }

    for (const host of [
      'notlocalhost',
      'localhost.example.com',
      '128.0.0.1',
      '127.0.0.1.example.com',
      '1127.0.0.1',
      '::2',
      '[::1:1]',
      '[::ffff:128.0.0.1]',
      '0.0.0.0',
      '',
    ]) {
      it(`${host || 'nothing'} is none`, function () {
        expect(isLoopback(host)).to.be.false
      })
    }
  })

  describe('where a registry is served', function () {
    it('is https, but for loopback hosts and when told otherwise', function () {
      expect(originOf('ghcr.io').href).to.equal('https://ghcr.io/')
      expect(originOf('localhost:5000').href).to.equal('http://localhost:5000/')
      expect(originOf('localhost:5000', {plainHttp: false}).href).to.equal('https://localhost:5000/')
      expect(originOf('[::1]:5000').href).to.equal('http://[::1]:5000/')
      expect(originOf('reg.lan:80', {plainHttp: true}).href).to.equal('http://reg.lan/')
    })

    it('knows that the Docker Hub has three names', function () {
      expect(originOf('docker.io').href).to.equal('https://registry-1.docker.io/')
      expect(originOf('index.docker.io').href).to.equal('https://registry-1.docker.io/')
      expect(credentialKey('docker.io')).to.equal('https://index.docker.io/v1/')
      expect(credentialKey('registry-1.docker.io')).to.equal('https://index.docker.io/v1/')
      expect(credentialKey('quay.io')).to.equal('quay.io')
    })
  })
})
