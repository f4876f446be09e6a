import {expect} from 'chai'

import type {GoldenName} from '../../helpers/hooks.js'

import {
  decodeConfiguration,
  encodeConfiguration,
  formatUuid,
  hashingOf,
  macKeyOf,
  newConfiguration,
  openConfiguration,
  sealConfiguration,
} from '../../../src/kloset/configuration.js'
import {EnvelopeChecker} from '../../../src/kloset/envelope.js'
import {createHasher} from '../../../src/kloset/hashing.js'
import {meaningOf} from '../../../src/kloset/resource.js'
import {formatTimestamp} from '../../../src/kloset/timestamp.js'
import {flipBit} from '../../helpers/damage.js'
import {expectedInfo} from '../../helpers/expected.js'
import {failureIn, failureOf} from '../../helpers/failure.js'
import {goldenObjects} from '../../helpers/golden.js'
import {GOLDEN} from '../../helpers/hooks.js'

const goldenConfig = (name: GoldenName) => goldenObjects(name).find(({tag}) => tag === 'CONFIG')!.bytes
const PLAINTEXT = ['plaintext', 'plaintext-uncompressed'] as const

describe('configuration', () => {
  for (const name of GOLDEN) {
    it(`of the golden store ${name} is what plakar says of it, and encodes to the same bytes`, async () => {
      const bytes = goldenConfig(name)
      const configuration = await openConfiguration(bytes)
      expect(encodeConfiguration(configuration).equals(bytes.subarray(16, -32))).to.equal(true)
      const info = expectedInfo(name)
      expect(formatUuid(configuration.repositoryId)).to.equal(info['RepositoryID'])
      expect(formatTimestamp(configuration.timestamp).replace('T', ' ').replace('Z', ' +0000 UTC')).to.equal(
        info['Timestamp'],
      )
      expect(configuration.hashing).to.deep.equal({algorithm: info['Hashing.Algorithm'], bits: 256})
      expect(configuration.compression?.algorithm).to.equal(info['Compression.Algorithm'])
      expect(configuration.compression?.level.toString()).to.equal(info['Compression.Level'])
      expect(info['Chunking.MaxSize']).to.contain(`(${configuration.chunking.maxSize} bytes)`)
      expect(info['Packfile.MaxSize']).to.contain(`(${configuration.packfile.maxSize} bytes)`)
      expect(configuration.encryption?.canary.toString('hex')).to.equal(info['Encryption.Canary'])
      expect(configuration.encryption?.kdf.salt.toString('hex')).to.equal(info['Encryption.KDF.Salt'])
      expect(configuration.encryption?.kdf.argon2id?.memory.toString()).to.equal(info['Encryption.KDF.Memory'])
    })
  }

  for (const name of PLAINTEXT) {
    it(`of ${name} seals to the very object that plakar wrote`, async () => {
      const bytes = goldenConfig(name)
      expect((await sealConfiguration(await openConfiguration(bytes))).equals(bytes)).to.equal(true)
    })

    it(`of ${name} is a new one, but for its identifier and its time`, async () => {
      const golden = await openConfiguration(goldenConfig(name))
      const {repositoryId, timestamp, ...fresh} = newConfiguration({
        compression: name === 'plaintext' ? 'LZ4' : 'none',
        now: 1_700_000_000_000,
      })
      expect({...golden, repositoryId, timestamp}).to.deep.equal({...fresh, repositoryId, timestamp})
      expect(formatUuid(repositoryId)).to.match(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
      expect(formatTimestamp(timestamp)).to.equal('2023-11-14T22:13:20Z')
    })

    it(`of ${name} keys the MAC of every object`, async () => {
      const configuration = await openConfiguration(goldenConfig(name))
      const key = await macKeyOf(configuration)
      for (const {bytes, tag} of goldenObjects(name)) {
        if (meaningOf(tag).kind !== 'object') continue
        const checker = new EnvelopeChecker(await createHasher(hashingOf(configuration), key))
        checker.update(bytes)
        expect(checker.finish(tag).authentic, tag).to.equal(true)
      }
    })

    it(`of ${name} with any bit flipped is refused`, async () => {
      const bytes = goldenConfig(name)
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const outcome = await openConfiguration(flipBit(bytes, bit)).catch((error: {code: string}) => error.code)
        // Also when it then looks like an encrypted store's, whose MAC cannot be checked here.
        expect(outcome, `bit ${bit}`).to.be.oneOf(['STORE_FORMAT', 'VERSION'])
      }
    })
  }

  it('knows no MAC key of an encrypted store without its secret', async () => {
    const configuration = await openConfiguration(goldenConfig('encrypted'))
    expect(await macKeyOf(configuration)).to.equal(undefined)
    const secret = Buffer.alloc(32, 1)
    expect((await macKeyOf(configuration, secret))!.equals(secret)).to.equal(true)
    expect((await failureOf(openConfiguration(goldenConfig('encrypted'), {secret}))).code).to.equal('STORE_FORMAT')
    expect((await failureOf(sealConfiguration(configuration))).code).to.equal('INVALID_ARGUMENT')
    const sealed = await sealConfiguration(configuration, secret)
    expect(await openConfiguration(sealed, {secret})).to.deep.equal(configuration)
  })

  it('keeps the parameters of every key derivation', () => {
    const base = newConfiguration({now: 0})
    const kdfs = [
      {argon2id: {keyLen: 32, memory: 262_144, saltSize: 16, threads: 1, time: 4}, kdf: 'ARGON2ID'},
      {kdf: 'SCRYPT', scrypt: {keyLen: 32, n: 32_768, p: 1, r: 8, saltSize: 16}},
      {kdf: 'PBKDF2', pbkdf2: {hashing: 'SHA256', iterations: 100_000, keyLen: 32, saltSize: 16}},
    ]
    for (const kdf of kdfs) {
      const encryption = {
        canary: Buffer.alloc(100, 1),
        chunkSize: 65_536,
        dataAlgorithm: 'AES256-GCM-SIV',
        kdf: {argon2id: undefined, pbkdf2: undefined, salt: Buffer.alloc(16, 2), scrypt: undefined, ...kdf},
        subKeyAlgorithm: 'AES256-KW',
      }
      const configuration = {...base, encryption}
      expect(decodeConfiguration(encodeConfiguration(configuration), base.version)).to.deep.equal(configuration)
    }
  })

  it('names a hashing that it does not know, and never guesses', () => {
    const configuration = {...newConfiguration({now: 0}), hashing: {algorithm: 'BLAKE4', bits: 512}}
    expect(failureIn(() => hashingOf(configuration)).code).to.equal('VERSION')
  })

  it('refuses an identifier of a wrong length, in and out', () => {
    expect(failureIn(() => newConfiguration({now: 0, repositoryId: Buffer.alloc(15)})).code).to.equal(
      'INVALID_ARGUMENT',
    )
    const wrong = {...newConfiguration({now: 0}), repositoryId: Buffer.alloc(15)}
    expect(failureIn(() => decodeConfiguration(encodeConfiguration(wrong), wrong.version)).code).to.equal(
      'STORE_FORMAT',
    )
  })
})
