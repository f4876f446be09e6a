import {expect} from 'chai'

import {decodeHuffman} from '../../../../src/plugin/h2/huffman.js'

describe('Huffman strings', () => {
  it('decodes octets with short and with long codes', () => {
    // Codes of appendix B by hand, padded with ones.
    const table: Readonly<Record<string, string>> = {'00': 'ffc7', '2f': '63', '7a': 'f7', '20': '53', '61': '1f'}
    for (const [octet, code] of Object.entries(table)) {
      const bytes = Buffer.from(code, 'hex')
      expect(decodeHuffman(bytes, 0, bytes.length), octet).to.equal(Buffer.from(octet, 'hex').toString('latin1'))
    }
  })

  it('takes an empty string', () => {
    expect(decodeHuffman(Buffer.alloc(0), 0, 0)).to.equal('')
  })
})
