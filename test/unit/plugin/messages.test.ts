import {expect} from 'chai'

import {
  decodeConfig,
  decodeDelete,
  decodeGet,
  decodeInit,
  decodeListType,
  decodePut,
  encodeConfig,
  encodeInit,
  encodeList,
  encodeNumber,
  getResponseHead,
} from '../../../src/plugin/messages.js'
import {RpcError} from '../../../src/plugin/rpc/status.js'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const MAC = 'ab'.repeat(32)

describe('messages of the store service', () => {
  it('reads a Get with and without a range', () => {
    const mac = Buffer.from(MAC, 'hex')
    // mac, type 1, range {offset 300, length 5}
    expect(decodeGet(hex(`0a20 ${MAC} 1001 1a05 08ac02 1005`))).to.deep.equal({
      mac,
      range: {length: 5, offset: 300},
      type: 1,
    })
    expect(decodeGet(hex(`0a20 ${MAC} 1002`))).to.deep.equal({mac, range: undefined, type: 2})
    // An empty range is one: offset 0, length 0.
    expect(decodeGet(hex('1a00')).range).to.deep.equal({length: 0, offset: 0})
  })

  it('reads numbers up to 2^53 exactly, and refuses larger ones', () => {
    expect(decodeGet(hex('1a09 08 ffffffffffffff0f')).range!.offset).to.equal(Number.MAX_SAFE_INTEGER)
    expect(() => decodeGet(hex('1a0b 08 ffffffffffffffffff01'))).to.throw(RpcError, 'too large')
  })

  it('skips fields that it does not know, of every wire type', () => {
    const unknown = '2001 2a03aabbcc 3501020304 390102030405060708'
    expect(decodePut(hex(`${unknown} 1a0178 ${unknown}`)).chunk.toString()).to.equal('x')
    expect(decodeDelete(hex(`1003 ${unknown}`)).type).to.equal(3)
    expect(decodeListType(hex(`${unknown} 0801`))).to.equal(1)
    expect(decodeConfig(hex(`${unknown} 0a0163`)).toString()).to.equal('c')
  })

  it('reads the configuration map', () => {
    // proto "oci"; {"location": "oci://x"}; {"k": ""}; an entry without a key
    const message = decodeInit(hex('0a036f6369 1213 0a086c6f636174696f6e 12076f63693a2f2f78 1203 0a016b 1203 120176'))
    expect(message.proto).to.equal('oci')
    expect([...message.config]).to.deep.equal([
      ['location', 'oci://x'],
      ['k', ''],
      ['', 'v'],
    ])
  })

  const broken: [string, string][] = [
    ['0a', 'a field without its length'],
    ['0a05 01', 'a cut field'],
    ['10', 'a cut number'],
    ['10 ffffffffffffffffffff01', 'a number that does not end'],
    ['0001', 'field 0'],
    ['0801', 'bytes in the form of a number'],
    ['1201 00', 'a number in the form of bytes'],
    ['1a05 0801', 'a cut message inside'],
    ['23', 'a group'],
    ['2d0102', 'a cut fixed field'],
  ]
  for (const [bytes, what] of broken) {
    it(`refuses ${what}`, () => {
      expect(() => decodeGet(hex(bytes))).to.throw(RpcError, 'not a sound message')
    })
  }

  it('writes what the host reads', () => {
    expect(encodeNumber(0).toString('hex')).to.equal('')
    expect(encodeNumber(6).toString('hex')).to.equal('0806')
    expect(encodeNumber(-1).toString('hex')).to.equal('08ffffffffffffffffff01')
    expect(encodeNumber(2 ** 40).toString('hex')).to.equal('08808080808020')
    expect(encodeConfig(Buffer.from('abc')).toString('hex')).to.equal('0a03616263')
    expect(encodeList([MAC, MAC]).toString('hex')).to.equal(`0a20${MAC}0a20${MAC}`)
    expect(encodeInit({flags: 2, origin: 'h', root: '/', type: 'oci'}).toString('hex')).to.equal(
      '0a0168 12036f6369 1a012f 2802'.replaceAll(' ', ''),
    )
    expect(getResponseHead(5 * 1024).toString('hex')).to.equal('0a8028')
  })
})
