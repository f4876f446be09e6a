import {expect} from 'chai'

import {collectGcCheck} from '../../../src/checker/gc-check.js'
import {unlock} from '../../../src/kloset/codec/kdf.js'
import {Secret} from '../../../src/kloset/codec/secret.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {failureOf} from '../../helpers/failure.js'
import {goldenInMemory, goldenObjects} from '../../helpers/golden.js'
import {GOLDEN, GOLDEN_PASSPHRASE} from '../../helpers/hooks.js'

describe('gcCheck', () => {
  for (const name of GOLDEN) {
    for (const deep of [false, true]) {
      it(`finds nothing in the golden store ${name}${deep ? ', deep' : ''}`, async () => {
        const {findings, summary} = await collectGcCheck(await goldenInMemory(name), {deep})
        expect(findings).to.deep.equal([])
        expect(summary).to.include({complete: true, deep, verdict: 'clean'})
        expect(summary.objects).to.deep.equal({config: 1, foreign: 0, lock: 0, packfile: 4, state: 2})
        const sizeOf = (prefix: string) =>
          goldenObjects(name)
            .filter(({tag}) => tag.startsWith(prefix))
            .reduce((sum, {bytes}) => sum + bytes.length, 0)
        expect(summary.bytes).to.deep.equal({
          config: sizeOf('CONFIG'),
          lock: 0,
          packfile: sizeOf('packfiles-'),
          state: sizeOf('state-'),
        })
        const encrypted = name.startsWith('encrypted')
        expect(summary.notChecked).to.have.length(encrypted ? 1 : 0)
      })
    }
  }

  for (const name of ['encrypted', 'encrypted-sha256'] as const) {
    it(`checks everything of ${name} with its secret, and names each tag that goes`, async () => {
      const whole = await goldenInMemory(name)
      const {encryption} = await new KlosetStore(whole).configuration()
      const secret = await unlock(encryption!, GOLDEN_PASSPHRASE)
      const deep = await collectGcCheck(whole, {deep: true, secret})
      expect(deep.findings).to.deep.equal([])
      expect(deep.summary.notChecked).to.deep.equal([])
      const clock = {now: () => Date.UTC(2040, 0, 1), async sleep() {}}
      for (const {tag} of goldenObjects(name)) {
        const repository = await goldenInMemory(name)
        await repository.manifests.untag(tag)
        const {findings} = await collectGcCheck(repository, {clock, secret})
        const errors = findings.filter(({severity}) => severity === 'error')
        const kind = tag === 'CONFIG' ? 'config-missing' : 'tag-missing'
        expect(errors.map((one) => [one.kind, one.tag])).to.deep.equal([[kind, tag]])
      }
    })

    it(`does not take another secret for that of ${name}`, async () => {
      const run = collectGcCheck(await goldenInMemory(name), {secret: new Secret(Buffer.alloc(32, 1))})
      expect((await failureOf(run)).code).to.equal('UNAUTHORIZED')
    })
  }
})
