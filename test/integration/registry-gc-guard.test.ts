import {expect} from 'chai'

import {cli} from '../helpers/cli.js'
import {FakeRegistry} from '../helpers/fake-registry.js'

interface Document {
  readonly exitCode: number
  readonly probes: {message: string; name: string; nextSteps: string[]; status: string}[]
  readonly product?: {readonly id: string}
  readonly tagRules: {readonly mutable: string}
}

describe('registry-gc-guard', () => {
  it('says what to set on a product, and which products there are', async () => {
    const harbor = await cli(['registry-gc-guard', 'harbor'])
    expect([harbor.status, harbor.stderr]).to.deep.equal([0, ''])
    expect(harbor.stdout)
      .to.contain('^locks-[0-9a-f]{64}$')
      .and.to.match(/Harbor: Tag retention/)
    const none = await cli(['registry-gc-guard'])
    expect(none.stderr).to.contain('distribution-2.8')
    expect((await cli(['registry-gc-guard', 'no-such-thing'])).status).to.equal(64)
  })

  it('tries a store out, knows the product by its answers, and removes what it wrote', async () => {
    const fake = await FakeRegistry.start({immutableTags: true})
    try {
      const location = `oci://${fake.host}/a/b`
      fake.fail({headers: {'gitlab-container-registry-version': '4.1.0'}, path: /v2\/$/, times: 99})
      const {json, stderr} = await cli(['registry-gc-guard', location, '--json'])
      expect(stderr).to.equal('')
      const {exitCode, probes, product, tagRules} = json<Document>()
      expect([exitCode, product!.id, tagRules.mutable]).to.deep.equal([0, 'gitlab', '^locks-[0-9a-f]{64}$'])
      const mutability = probes.find(({name}) => name === 'tag-mutability')!
      expect(mutability.status).to.equal('warn')
      expect(mutability.nextSteps.join(' ')).to.contain('locks-')
      fake.options = {}
      const fine = (await cli(['registry-gc-guard', location, '--product', 'zot', '--json'])).json<Document>()
      expect(fine.product!.id).to.equal('zot')
      expect(fine.probes.find(({name}) => name === 'untagged')!.message).to.match(/stays until the registry collects/)
      expect([...fake.repository('a/b').tags.keys()]).to.deep.equal([])
      fake.options = {digestDelete: 'off', tagDelete: 'off'}
      const off = (await cli(['registry-gc-guard', location, '--json'])).json<Document>()
      expect([
        off.exitCode,
        off.probes.some(({name, status}) => name === 'delete-tag' && status === 'fail'),
      ]).to.deep.equal([69, true])
      expect(fake.violations).to.deep.equal([])
    } finally {
      await fake.stop()
    }
  })
})
