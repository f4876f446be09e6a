import {expect} from 'chai'
import {join} from 'node:path'

import type {ProbeName, ProbeResult} from '../../src/registry/probe/probe.js'

import {PROBES} from '../../src/registry/probe/probe.js'
import {cli} from '../helpers/cli.js'
import {type FakeOptions, FakeRegistry, PASSWORD, USER} from '../helpers/fake-registry.js'
import {goldenCopy, scratchDir} from '../helpers/hooks.js'

interface Document {
  readonly exitCode: number
  readonly probes: ProbeResult[]
}

describe('doctor', () => {
  let fake: FakeRegistry

  beforeEach(async () => {
    fake = await FakeRegistry.start()
  })

  afterEach(() => fake.stop())

  async function examine(options: FakeOptions, extra: string[] = [], env = {}) {
    fake.options = options
    const {json, stderr} = await cli(['doctor', `oci://${fake.host}/a/b`, '--json', '--retries', '0', ...extra], {env})
    const {exitCode, probes} = json<Document>()
    expect(stderr).to.equal('')
    expect(probes.map(({name}) => name).sort(), 'one result for each probe').to.deep.equal([...PROBES].sort())
    const status = (name: ProbeName) => probes.find((probe) => probe.name === name)!.status
    const text = (name: ProbeName) => {
      const {message, nextSteps} = probes.find((probe) => probe.name === name)!
      return [message, ...nextSteps].join(' ')
    }

    return {exitCode, probes, status, text}
  }

  /** What is left of a visit: blobs and manifests that nobody names any more at most. */
  function expectTidy(): void {
    expect(fake.violations).to.deep.equal([])
    expect([...fake.repository('a/b').tags.keys()]).to.deep.equal([])
    expect([...fake.repository('a/b').uploads.keys()]).to.deep.equal([])
  }

  it('finds nothing wrong with a good registry, and leaves nothing in it', async () => {
    const {exitCode, probes} = await examine({referrers: true, tagDelete: 'untag', tagPaging: 'link'})
    expect(probes.filter(({status}) => status !== 'ok')).to.deep.equal([])
    expect(exitCode).to.equal(0)
    expectTidy()
    expect(fake.repository('a/b').manifests.size).to.equal(0)
  })

  it('writes nothing with --read-only', async () => {
    const {exitCode, probes} = await examine({}, ['--read-only'])
    expect(exitCode).to.equal(0)
    expect(fake.requests.filter(({method}) => method !== 'GET' && method !== 'HEAD')).to.deep.equal([])
    expect(probes.filter(({status}) => status === 'skip').map(({name}) => name)).to.include.members([
      'push',
      'delete-tag',
    ])
  })

  const quirks: [string, FakeOptions, ProbeName, ProbeResult['status'], RegExp][] = [
    ['ranges are ignored', {ranges: 'ignored'}, 'range', 'warn', /downloads the whole object/],
    ['ranges are wrong', {ranges: 'wrong-start'}, 'range', 'fail', /other bytes/],
    ['tags cannot be moved', {immutableTags: true}, 'tag-mutability', 'warn', /\^locks-/],
    ['tags are not deleted', {tagDelete: 'off'}, 'delete-tag', 'ok', /by digest/],
    [
      'digests are not deleted',
      {digestDelete: 'off', tagDelete: 'untag'},
      'delete-digest',
      'warn',
      /garbage collection/,
    ],
    ['tags take their manifests along', {tagDelete: 'cascade'}, 'delete-tag', 'warn', /takes its manifest/],
    [
      'nothing is deleted',
      {digestDelete: 'off', tagDelete: 'off'},
      'delete-digest',
      'fail',
      /[Nn]othing can be deleted/,
    ],
    ['deletion is a lie', {digestDelete: 'lies', tagDelete: 'lies'}, 'delete-tag', 'fail', /still there/],
    ['lists have no pages', {tagPaging: 'none'}, 'paging', 'ok', /ignored/],
    ['lists end early', {tagPaging: 'mute'}, 'paging', 'warn', /Link/],
    ['chunks have a least size', {chunkMinLength: 100_000}, 'chunked-upload', 'ok', /chunks/],
    ['chunks are too large', {maxChunk: 1000}, 'chunked-upload', 'warn', /cannot be pushed in chunks/],
    ['there is no referrers API', {referrers: false}, 'referrers', 'ok', /no referrers API/],
  ]
  for (const [what, options, name, expected, words] of quirks) {
    it(`says so when ${what}`, async () => {
      const {exitCode, status, text} = await examine(options)
      expect(status(name), text(name)).to.equal(expected)
      expect(text(name)).to.match(words)
      expect(exitCode).to.equal(expected === 'fail' ? 69 : 0)
      const deletes = options.digestDelete !== 'off' && options.digestDelete !== 'lies'
      if (deletes || options.tagDelete === 'untag') expectTidy()
    })
  }

  it('names the tags that it could not remove again', async () => {
    const {status, text} = await examine({digestDelete: 'off', tagDelete: 'off'})
    expect(status('cleanup')).to.equal('warn')
    const tags = [...fake.repository('a/b').tags.keys()]
    expect(tags).not.to.deep.equal([])
    for (const tag of tags) expect(text('cleanup')).to.contain(tag)
  })

  it('says when a clock is wrong', async () => {
    const past = new Date(Date.now() - 3_600_000).toUTCString()
    fake.fail({headers: {date: past}, path: /v2\/$/, times: 99})
    const {exitCode, status, text} = await examine({})
    expect(status('clock')).to.equal('fail')
    expect(text('clock')).to.match(/3[56]\d\d seconds behind/)
    expect(exitCode).to.equal(69)
  })

  it('stops where a login is missing, and says how to get in', async () => {
    const {exitCode, status, text} = await examine({auth: 'basic'})
    expect(exitCode).to.equal(77)
    expect(status('api')).to.equal('fail')
    expect(text('api')).to.contain('login')
    expect(status('push')).to.equal('skip')
  })

  it('says which login is used', async () => {
    const env = {KLOSET_OCI_PASSWORD: PASSWORD, KLOSET_OCI_USERNAME: USER}
    const {exitCode, text} = await examine({auth: 'bearer'}, [], env)
    expect(exitCode).to.equal(0)
    expect(text('credential')).to.equal(`user ${USER}, from the environment`)
    expectTidy()
  })

  it('says when a login may read and not write', async () => {
    fake.fail({method: 'POST', path: /uploads/, status: 403, times: 99})
    const {exitCode, status} = await examine({})
    expect(exitCode).to.equal(77)
    expect([status('pull'), status('push'), status('manifest')]).to.deep.equal(['ok', 'fail', 'skip'])
  })

  it('clears up after an interruption', async () => {
    fake.fail({hang: true, method: 'DELETE', times: 1})
    const {status} = await cli(['doctor', `oci://${fake.host}/a/b`], {
      onSpawn(child) {
        const look = setInterval(() => {
          if (fake.count('DELETE') === 0 && child.exitCode === null) return
          clearInterval(look)
          child.kill('SIGINT')
        }, 10)
      },
    })
    expect(status).to.equal(130)
    expectTidy()
  })

  it('looks at a directory too, and leaves it as it was', async () => {
    const store = `oci-layout:${goldenCopy('plaintext')}`
    const before = (await cli(['ls', store, '--long'])).stdout
    const {json} = await cli(['doctor', store, '--json'])
    expect(json<Document>().exitCode).to.equal(0)
    expect((await cli(['ls', store, '--long'])).stdout).to.equal(before)
    const check = await cli(['gc-check', store, '--json'])
    expect(check.json<{findings: unknown[]}>().findings).to.deep.equal([])
    expect((await cli(['doctor', `oci-layout:${join(scratchDir('none'), 'x')}`])).status).to.equal(66)
  })

  it('prints a line for each probe, with the next step under it', async () => {
    fake.options = {immutableTags: true}
    const {stdout} = await cli(['doctor', `oci://${fake.host}/a/b`])
    expect(stdout).to.match(/^warn {2}tag-mutability {2}tags cannot be moved/m)
    expect(stdout).to.match(/^ +next: Exempt the tags/m)
    expect(stdout.trimEnd().split('\n').at(-1)).to.contain('warning')
  })
})
