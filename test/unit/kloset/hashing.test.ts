import {expect} from 'chai'
import {createHash} from 'node:crypto'

import {createHasher, hash, HasherPool, isHashing, plaintextKey, sameMac} from '../../../src/kloset/hashing.js'

describe('hashing', () => {
  it('is the published BLAKE3, plain and keyed', async () => {
    const nothing = Buffer.alloc(0)
    expect((await hash('BLAKE3', nothing)).toString('hex')).to.equal(
      'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',
    )
    const key = Buffer.from('whats the Elvish word for friend')
    expect((await hash('BLAKE3', nothing, key)).toString('hex')).to.equal(
      '92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26',
    )
  })

  it('is the published HMAC-SHA256 with a key and SHA-256 without', async () => {
    const data = Buffer.from('what do ya want for nothing?')
    expect((await hash('SHA256', data, Buffer.from('Jefe'))).toString('hex')).to.equal(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    )
    expect(await hash('SHA256', data)).to.deep.equal(createHash('sha256').update(data).digest())
  })

  it('says the same natively and in WebAssembly, whichever comes first', async () => {
    const key = Buffer.alloc(32, 9)
    const data = Buffer.alloc(200_000, 'some text')
    const small = await createHasher('BLAKE3', key)
    for (let offset = 0; offset < data.length; offset += 1000) small.update(data.subarray(offset, offset + 1000))
    const large = await createHasher('BLAKE3', key)
    for (let time = 0; time < 2; time++) {
      large.update(data)
      const whole = await hash('BLAKE3', data, key)
      expect(large.digest().equals(whole)).to.equal(true)
      if (time === 0) expect(small.digest().equals(whole)).to.equal(true)
      large.reset()
      large.update(data.subarray(0, 10))
      const again = large.digest()
      small.reset()
      small.update(data.subarray(0, 10))
      expect(small.digest().equals(again)).to.equal(true)
      large.reset()
      small.reset()
    }
  })

  for (const hashing of ['BLAKE3', 'SHA256'] as const) {
    it(`gives the same ${hashing} however the bytes are cut, and starts anew with the same key`, async () => {
      const key = Buffer.alloc(32, 7)
      const data = Buffer.alloc(10_000, 'abc')
      const whole = await hash(hashing, data, key)
      const hasher = await createHasher(hashing, key)
      for (let time = 0; time < 2; time++) {
        for (let offset = 0; offset < data.length; offset += 77) hasher.update(data.subarray(offset, offset + 77))
        expect(hasher.digest().equals(whole)).to.equal(true)
        hasher.reset()
      }

      expect((await hash(hashing, data, Buffer.alloc(32, 8))).equals(whole)).to.equal(false)
    })
  }

  it('lends a fresh hasher to each of many at once, also after one failed half-way', async () => {
    const pool = new HasherPool('BLAKE3', Buffer.alloc(32, 1))
    const one = await hash('BLAKE3', Buffer.from('a'), Buffer.alloc(32, 1))
    const failed = pool.lend((hasher) => {
      hasher.update(Buffer.from('half'))
      throw new Error('half-way')
    })
    expect(await failed.catch((error: Error) => error.message)).to.equal('half-way')
    const results = await Promise.all(
      Array.from({length: 8}, async () =>
        pool.lend(async (hasher) => {
          await Promise.resolve()
          hasher.update(Buffer.from('a'))
          return hasher.digest()
        }),
      ),
    )
    for (const result of results) expect(result.equals(one)).to.equal(true)
  })

  it('keys a plaintext store with the hash of its identifier', async () => {
    const id = Buffer.from('04b0b8d08eed41c6b095efc429e43dc7', 'hex')
    expect((await plaintextKey('SHA256', id)).equals(createHash('sha256').update(id).digest())).to.equal(true)
    expect((await plaintextKey('BLAKE3', id)).equals(await hash('BLAKE3', id))).to.equal(true)
  })

  it('compares MACs of any length', () => {
    expect(sameMac(Buffer.from('a'), Buffer.from('a'))).to.equal(true)
    expect(sameMac(Buffer.from('a'), Buffer.from('b'))).to.equal(false)
    expect(sameMac(Buffer.from('a'), Buffer.from('ab'))).to.equal(false)
    expect(isHashing('MD5')).to.equal(false)
  })
})
