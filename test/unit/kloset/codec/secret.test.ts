import {expect} from 'chai'
import {inspect} from 'node:util'

import {Secret} from '../../../../src/kloset/codec/secret.js'

describe('a secret', function () {
  it('shows itself nowhere', function () {
    const secret = new Secret(Buffer.alloc(32, 0xab))
    const shown = [
      String(secret),
      JSON.stringify({secret}),
      inspect(secret),
      inspect({deep: {secret}}, {depth: 9, showHidden: true}),
      `${secret}`,
    ]
    for (const text of shown) expect(text).to.not.match(/abab|171|q6ur/)
    secret.wipe()
    expect(secret.bytes.equals(Buffer.alloc(32))).to.equal(true)
  })
})
