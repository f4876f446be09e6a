import {expect} from 'chai'

import {IntegrityError, StoreFormatError, VersionError} from '../../../../src/errors.js'
import {BlobCipher} from '../../../../src/kloset/codec/encryption.js'
import {Secret} from '../../../../src/kloset/codec/secret.js'
import {flipBit} from '../../../helpers/damage.js'
import {failureIn, failureOf} from '../../../helpers/failure.js'
import {seeded} from '../../../helpers/random.js'

const SECRET = new Secret(Buffer.from(Array.from({length: 32}, (_, index) => index)))
const scheme = (subKeyAlgorithm: string, chunkSize: number) => ({
  chunkSize,
  dataAlgorithm: 'AES256-GCM-SIV',
  subKeyAlgorithm,
})

/** What kloset v1.1.3's encryption.EncryptStream made of one plaintext under SECRET, in chunks of 16 bytes. */
const PLAINTEXT = 'forty-one bytes of plaintext in 3 chunks.'
const KLOSET = {
  'AES256-GCM':
    'c5e6f592d5259ed3191b1dfa197564a21d7ff51c0f8065ac7c95672126873c50134c3589311980a00c9e8b11517830dbfb3f79e0dc84f386269008ea' +
    '9d91788ace40bcc6cb55b14e0ffa3ab8cdf2382bfde48dce4c4f637b191c8481e684716ef05b6b72001b7519a6e651323003fb7f7762d9fa21dcaf2a' +
    'b1001d9d5a905354f1832997590d75c315131e682640f9d0b0a5a3751f112a90b24179eb22df9db4880e410bc8a6c070bea65b7006cecfbe7a6cc515' +
    '3edf3038e5',
  'AES256-KW':
    '2451d964048b979a9867a8045385a72c66a067b973ced81f3c86a6876deefb74852262aa01f36fdbbeef69cc79f870f857bff2b6e75f4ee6cb3b68e1' +
    '10a6d4de7decebf8a82803868241e061d86412151086b8fe0bf10b80795f77d4985115c1bfb4d9f8580caa3d5956315ef2aa027c6c638fe90cf5fffa' +
    '3a8207866f4dc8a2e52a79f15605e1ecbe321d0f0d3266e3ec8edf3deeb0b434a7ec8badb96d820f963c4c676e',
} as const

async function* slices(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function streamed(cipher: BlobCipher, bytes: Buffer, size: number): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of cipher.decryptStream(slices(bytes, size))) parts.push(part)
  return Buffer.concat(parts)
}

describe('encryption of objects', function () {
  for (const [algorithm, sealed] of Object.entries(KLOSET)) {
    it(`reads what kloset wrote with ${algorithm}, whole and streamed`, async function () {
      const cipher = new BlobCipher(scheme(algorithm, 16), SECRET)
      const bytes = Buffer.from(sealed, 'hex')
      expect(cipher.decrypt(bytes).toString()).to.equal(PLAINTEXT)
      for (const size of [1, 7, 39, 44, 1000])
        expect((await streamed(cipher, bytes, size)).toString()).to.equal(PLAINTEXT)
    })

    it(`finds every flipped bit and every truncation within a chunk, ${algorithm}`, async function () {
      const cipher = new BlobCipher(scheme(algorithm, 16), SECRET)
      const bytes = Buffer.from(sealed, 'hex')
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        expect(
          failureIn(() => cipher.decrypt(flipBit(bytes, bit))),
          `bit ${bit}`,
        ).to.be.instanceOf(IntegrityError)
      }

      const head = algorithm === 'AES256-KW' ? 40 : 60
      for (let length = 0; length < bytes.length; length++) {
        const part = bytes.subarray(0, length)
        // At the end of a chunk nothing is missed here: what is around it knows the length.
        if (length >= head && (length - head) % 44 === 0) continue
        expect(
          failureIn(() => cipher.decrypt(part)),
          `${length} bytes`,
        ).to.be.instanceOf(IntegrityError)
        expect(await failureOf(streamed(cipher, part, 10)), `${length} bytes`).to.be.instanceOf(IntegrityError)
      }
    })

    it(`reads what it wrote, at lengths around a chunk, ${algorithm}`, async function () {
      const cipher = new BlobCipher(scheme(algorithm, 65_536), SECRET)
      const random = seeded(5)
      for (const length of [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000]) {
        const plaintext = random.bytes(length)
        const bytes = cipher.encrypt(plaintext)
        expect(cipher.decrypt(bytes).equals(plaintext), `${length} bytes`).to.equal(true)
        expect((await streamed(cipher, bytes, 10_000)).equals(plaintext), `${length} bytes streamed`).to.equal(true)
        expect(cipher.encrypt(plaintext).equals(bytes)).to.equal(false)
      }
    })
  }

  it('refuses another secret', function () {
    const other = new BlobCipher(scheme('AES256-KW', 16), new Secret(Buffer.alloc(32, 1)))
    expect(failureIn(() => other.decrypt(Buffer.from(KLOSET['AES256-KW'], 'hex')))).to.be.instanceOf(IntegrityError)
  })

  it('refuses schemes that it does not know and chunk sizes that are none', function () {
    expect(failureIn(() => new BlobCipher(scheme('AES256-XYZ', 16), SECRET))).to.be.instanceOf(VersionError)
    expect(failureIn(() => new BlobCipher(scheme('toString', 16), SECRET))).to.be.instanceOf(VersionError)
    const chacha = {...scheme('AES256-KW', 16), dataAlgorithm: 'CHACHA20'}
    expect(failureIn(() => new BlobCipher(chacha, SECRET))).to.be.instanceOf(VersionError)
    for (const size of [0, -1, Number.NaN, 2 ** 40]) {
      expect(failureIn(() => new BlobCipher(scheme('AES256-KW', size), SECRET))).to.be.instanceOf(StoreFormatError)
    }
  })
})
