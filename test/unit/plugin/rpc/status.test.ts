import {expect} from 'chai'

import {encodeMessage, parseTimeout} from '../../../../src/plugin/rpc/status.js'

describe('gRPC status', () => {
  it('percent-encodes what a field cannot hold', () => {
    expect(encodeMessage('plain text, ~ and ?')).to.equal('plain text, ~ and ?')
    expect(encodeMessage('100% é\n\u007F')).to.equal('100%25 %C3%A9%0A%7F')
  })

  it('cuts a message that is too long for a header', () => {
    expect(encodeMessage('é'.repeat(10_000)).length).to.equal(4096 * 3)
  })

  it('reads timeouts', () => {
    const cases: [string, number | undefined][] = [
      ['1H', 3_600_000],
      ['2M', 120_000],
      ['3S', 3000],
      ['4m', 4],
      ['5000u', 5],
      ['1n', 1],
      ['99999999H', 99_999_999 * 3_600_000],
      ['', undefined],
      ['S', undefined],
      ['1', undefined],
      ['-1S', undefined],
      ['1.5S', undefined],
      ['123456789S', undefined],
      ['1s', undefined],
    ]
    for (const [field, milliseconds] of cases) expect(parseTimeout(field), field).to.equal(milliseconds)
  })
})
