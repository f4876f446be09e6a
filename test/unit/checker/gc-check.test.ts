import {expect} from 'chai'

import {collectGcCheck} from '../../../src/checker/gc-check.js'
import {goldenInMemory, goldenObjects} from '../../helpers/golden.js'
import {GOLDEN} from '../../helpers/hooks.js'

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
})
