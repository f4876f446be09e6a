import {expect} from 'chai'
import {readFileSync} from 'node:fs'

import {LAYOUT, MODULE} from '../../../../src/kloset/codec/polyval-module.js'

interface Generator {
  generate(): Promise<string>
}

describe('polyval module', function () {
  it('is what its source assembles to', async function () {
    const script = new URL('../../../../scripts/polyval-module.js', import.meta.url).href
    const {generate} = (await import(script)) as Generator
    const file = new URL('../../../../src/kloset/codec/polyval-module.ts', import.meta.url)
    expect(await generate()).to.equal(readFileSync(file, 'utf8'))
  })

  it('keeps the segments clear of the table and of each other', function () {
    const tableEnd = 0x10_00 + 22 * 64 * 16
    expect(tableEnd).to.be.at.most(LAYOUT.keystream)
    expect(LAYOUT.keystream + LAYOUT.segment).to.be.at.most(LAYOUT.data)
    expect(Buffer.from(MODULE, 'base64').subarray(0, 4).toString('latin1')).to.equal('\0asm')
  })
})
