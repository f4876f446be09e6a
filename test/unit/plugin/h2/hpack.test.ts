import {expect} from 'chai'

import {encodeHeaders, HpackDecoder} from '../../../../src/plugin/h2/hpack.js'
import {ConnectionError, ErrorCode} from '../../../../src/plugin/h2/protocol.js'

function decode(decoder: HpackDecoder, hex: string): string[] {
  const fields: string[] = []
  decoder.decode(Buffer.from(hex.replaceAll(' ', ''), 'hex'), (name, value) => fields.push(`${name}: ${value}`))
  return fields
}

describe('HPACK', () => {
  // The examples of RFC 7541, appendix C: three requests on one connection.
  const requests = [
    [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
    ],
    [
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8286 84be 5886 a8eb 1064 9cbf',
      [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
    ],
    [
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      [
        ':method: GET',
        ':scheme: https',
        ':path: /index.html',
        ':authority: www.example.com',
        'custom-key: custom-value',
      ],
    ],
  ] as const

  it('decodes the requests of the specification, plain and with Huffman strings', () => {
    const plain = new HpackDecoder()
    const huffman = new HpackDecoder()
    for (const [plainBlock, huffmanBlock, fields] of requests) {
      expect(decode(plain, plainBlock)).to.deep.equal(fields)
      expect(decode(huffman, huffmanBlock)).to.deep.equal(fields)
    }
  })

  it('evicts as the specification does when the table is small', () => {
    // Appendix C.6: responses with a table of 256 bytes; the second one relies on what the first has left.
    const decoder = new HpackDecoder()
    const first = decode(
      decoder,
      '3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
    )
    expect(first).to.deep.equal([
      ':status: 302',
      'cache-control: private',
      'date: Mon, 21 Oct 2013 20:13:21 GMT',
      'location: https://www.example.com',
    ])
    expect(decode(decoder, '4883 640e ffc1 c0bf')).to.deep.equal([
      ':status: 307',
      'cache-control: private',
      'date: Mon, 21 Oct 2013 20:13:21 GMT',
      'location: https://www.example.com',
    ])
    // The first ":status: 302" has gone by now: four entries remain.
    expect(() => decode(decoder, 'c2')).to.throw(ConnectionError, 'no table entry')
  })

  it('keeps nothing when the table size is zero, and an entry larger than the table empties it', () => {
    const decoder = new HpackDecoder()
    expect(decode(decoder, '20 400161 0162')).to.deep.equal(['a: b'])
    expect(() => decode(decoder, 'be')).to.throw(ConnectionError)
  })

  const corrupt: [string, string][] = [
    ['80', 'index 0'],
    ['be', 'an entry that is not there'],
    ['ff', 'a cut integer'],
    ['ffffffffffff', 'an endless integer'],
    ['40', 'a field without a name'],
    ['400161', 'a field without a value'],
    ['40056161', 'a cut string'],
    ['4081ff', 'padding of eight bits'],
    ['408100', 'padding that is not ones'],
    ['4084ffffffff 00', 'the end-of-string symbol'],
    ['3fe21f', 'a table larger than offered'],
    ['82 20', 'a size update after a field'],
  ]
  for (const [hex, what] of corrupt) {
    it(`refuses ${what}`, () => {
      expect(() => decode(new HpackDecoder(), hex))
        .to.throw(ConnectionError)
        .with.property('code', ErrorCode.COMPRESSION_ERROR)
    })
  }

  it('encodes what it decodes, without touching the table', () => {
    const long = 'x'.repeat(300)
    const block = encodeHeaders(200, [
      ['content-type', 'application/grpc'],
      ['grpc-message', long],
    ])
    const decoder = new HpackDecoder()
    expect(decode(decoder, block.toString('hex'))).to.deep.equal([
      ':status: 200',
      'content-type: application/grpc',
      `grpc-message: ${long}`,
    ])
    expect(() => decode(decoder, 'be')).to.throw(ConnectionError)
  })
})
