import {expect} from 'chai'

import {type Descriptor} from '../../../../src/registry/descriptor.js'
import {digestOf} from '../../../../src/registry/digest.js'
import {MEDIA_TYPE} from '../../../../src/registry/media-types.js'
import {referrersTag} from '../../../../src/registry/remote/referrers.js'
import {failureOf} from '../../../helpers/failure.js'
import {imageManifest, listed, pushObject} from '../../../helpers/registry-objects.js'
import {requestsOf, STORE, useRig} from '../../../helpers/remote-rig.js'

/** The body of one page. */
function page(...items: Descriptor[]): string {
  return JSON.stringify({manifests: items, schemaVersion: 2})
}

describe('referrers at a registry', () => {
  const rig = useRig()

  it('are kept under a tag where the registry takes no note of subjects', async () => {
    const {fake, repository, stored} = await rig({referrers: false})
    const {config, descriptor} = await pushObject(repository, 'subject')
    expect(await listed(repository.referrers(descriptor.digest))).to.deep.equal([])
    const digests: string[] = []
    for (const name of ['one', 'two']) {
      const manifest = imageManifest(config, {
        annotations: {name},
        artifactType: 'application/vnd.test',
        subject: descriptor,
      })
      digests.push((await repository.manifests.push(manifest)).digest)
      // A second time changes nothing.
      await repository.manifests.push(manifest)
    }

    expect(stored.tags.has(referrersTag(descriptor.digest))).to.equal(true)
    const referrers = await listed(repository.referrers(descriptor.digest))
    expect(referrers.map(({digest}) => digest)).to.deep.equal(digests)
    expect(referrers[0]!.annotations).to.deep.equal({name: 'one'})
    // The API is not tried again.
    expect(fake.count('GET', /referrers/)).to.equal(1)
  })

  it('are left to the registry where it takes note', async () => {
    const {repository, stored} = await rig({referrers: true})
    const {config, descriptor} = await pushObject(repository, 'subject')
    await repository.manifests.push(imageManifest(config, {subject: descriptor}))
    expect([...stored.tags.keys()]).to.deep.equal(['subject'])
    expect(await listed(repository.referrers(descriptor.digest))).to.have.length(1)
  })

  it('do not overwrite what else lies under their tag', async () => {
    const {repository, stored} = await rig()
    const {config, descriptor} = await pushObject(repository, 'subject')
    const foreign = stored.addImage(referrersTag(descriptor.digest), 'an image')
    const error = await failureOf(repository.manifests.push(imageManifest(config, {subject: descriptor})))
    expect(error.code).to.equal('PROTOCOL')
    expect(stored.tags.get(referrersTag(descriptor.digest))).to.equal(foreign)
    expect(await listed(repository.referrers(descriptor.digest))).to.deep.equal([])
  })

  it('have the tag of the specification', () => {
    const digest = digestOf(Buffer.from('x'))
    expect(referrersTag(digest)).to.equal(`sha256-${digest.slice(7)}`)
    expect(referrersTag(`sha512:${'a'.repeat(128)}` as typeof digest)).to.equal(`sha512-${'a'.repeat(64)}`)
  })

  describe('on pages', () => {
    const subject = digestOf(Buffer.from('subject'))
    const item = (name: string): Descriptor => ({
      digest: digestOf(Buffer.from(name)),
      mediaType: MEDIA_TYPE.imageManifest,
      size: 1,
    })
    const link = (query: string) => ({link: `</v2/${STORE}/referrers/${subject}?${query}>; rel="next"`})

    it('are followed, each given once', async () => {
      const {fake, repository} = await rig({referrers: true})
      fake.fail({body: page(item('a'), item('b')), headers: link('p=2'), status: 200})
      fake.fail({body: page(item('b'), item('c')), status: 200})
      const found = await listed(repository.referrers(subject))
      expect(found.map(({digest}) => digest)).to.deep.equal(['a', 'b', 'c'].map((name) => item(name).digest))
      expect(requestsOf(fake)).to.have.length(2)
    })

    it('are an error when they go round, break off or are no index', async () => {
      const {fake, repository} = await rig({referrers: true})
      fake.fail({body: page(item('a')), headers: link('p=2'), status: 200, times: 2})
      expect((await failureOf(listed(repository.referrers(subject)))).code).to.equal('PROTOCOL')
      fake.fail({body: page(item('a')), headers: link('p=2'), status: 200})
      fake.fail({status: 404})
      expect((await failureOf(listed(repository.referrers(subject)))).code).to.equal('PROTOCOL')
      for (const body of ['<html>', '{}', '{"manifests":[{}]}']) {
        fake.fail({body, status: 200})
        expect((await failureOf(listed(repository.referrers(subject)))).code).to.equal('PROTOCOL')
      }

      fake.fail({status: 403, times: 9})
      expect((await failureOf(listed(repository.referrers(subject)))).code).to.equal('FORBIDDEN')
    })
  })
})
