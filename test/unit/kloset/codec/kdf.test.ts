import {expect} from 'chai'
import {argon2id} from 'hash-wasm'
import {inspect} from 'node:util'

import type {KdfParameters} from '../../../../src/kloset/configuration-sections.js'

import {InvalidArgumentError, StoreFormatError, VersionError} from '../../../../src/errors.js'
import {deriveSecret, KDFS, newEncryption, unlock} from '../../../../src/kloset/codec/kdf.js'
import {openConfiguration} from '../../../../src/kloset/configuration.js'
import {failureOf} from '../../../helpers/failure.js'
import {goldenObjects} from '../../../helpers/golden.js'
import {GOLDEN_PASSPHRASE} from '../../../helpers/hooks.js'
import {unlockedGolden} from '../../../helpers/unlocked.js'

const SALT = Buffer.from('0123456789abcdef')
const PASSPHRASE = 'pass phrase é'

function parameters(kdf: string, rest: Partial<KdfParameters> = {}): KdfParameters {
  return {argon2id: undefined, kdf, pbkdf2: undefined, salt: SALT, scrypt: undefined, ...rest}
}

const ARGON2ID = {keyLen: 32, memory: 1024, saltSize: 16, threads: 2, time: 2}
const SCRYPT = {keyLen: 32, n: 4096, p: 2, r: 8, saltSize: 16}
const PBKDF2 = {hashing: 'SHA256', iterations: 1000, keyLen: 32, saltSize: 16}

describe('key derivation', function () {
  // What kloset v1.1.3's own encryption.DeriveKey gives.
  const vectors: ReadonlyArray<readonly [KdfParameters, string]> = [
    [parameters('ARGON2ID', {argon2id: ARGON2ID}), '467ac9ce586a3123c9826a38ecb38ebc90bc132ed574ebf6c03d2ff7e7399b6f'],
    [parameters('SCRYPT', {scrypt: SCRYPT}), '0b1c7d0053e2b5ccb1a6995d14bb145d712061b7729818cd0037e6d0cf172e9b'],
    [parameters('PBKDF2', {pbkdf2: PBKDF2}), '80f38a9ba43939e71c92fc449775c2e574f692e852e547931c6f2ada7e64022a'],
    [
      parameters('PBKDF2', {pbkdf2: {...PBKDF2, hashing: 'BLAKE3'}}),
      '6d0e2423c816c61c4455e35f8cf50e6577f293563f1808e5d3c67119620b87dc',
    ],
  ]
  for (const [index, [given, expected]] of vectors.entries()) {
    it(`derives what kloset derives, ${given.kdf} (${index + 1})`, async function () {
      expect((await deriveSecret(given, PASSPHRASE)).bytes.toString('hex')).to.equal(expected)
      expect((await deriveSecret(given, Buffer.from(PASSPHRASE))).bytes.toString('hex')).to.equal(expected)
    })
  }

  it('is the same with and without the native addon', async function () {
    const wasm = await argon2id({
      hashLength: 32,
      iterations: 2,
      memorySize: 1024,
      outputType: 'hex',
      parallelism: 2,
      password: PASSPHRASE,
      salt: SALT,
    })
    expect(wasm).to.equal(vectors[0]![1])
  })

  const hostile: ReadonlyArray<readonly [string, KdfParameters]> = [
    ['100 GB of memory', parameters('ARGON2ID', {argon2id: {...ARGON2ID, memory: 100 * 1024 * 1024}})],
    ['the most memory that fits the field', parameters('ARGON2ID', {argon2id: {...ARGON2ID, memory: 2 ** 32 - 1}})],
    ['a day of work', parameters('ARGON2ID', {argon2id: {...ARGON2ID, time: 2 ** 32 - 1}})],
    ['no time', parameters('ARGON2ID', {argon2id: {...ARGON2ID, time: 0}})],
    ['no memory', parameters('ARGON2ID', {argon2id: {...ARGON2ID, memory: 0}})],
    ['no lanes', parameters('ARGON2ID', {argon2id: {...ARGON2ID, threads: 0}})],
    ['255 lanes', parameters('ARGON2ID', {argon2id: {...ARGON2ID, memory: 8192, threads: 255}})],
    ['a long key', parameters('ARGON2ID', {argon2id: {...ARGON2ID, keyLen: 2 ** 32 - 1}})],
    ['a huge N', parameters('SCRYPT', {scrypt: {...SCRYPT, n: 2 ** 40}})],
    ['an N that is no power of two', parameters('SCRYPT', {scrypt: {...SCRYPT, n: 4095}})],
    ['a negative N', parameters('SCRYPT', {scrypt: {...SCRYPT, n: -4096}})],
    ['a huge r', parameters('SCRYPT', {scrypt: {...SCRYPT, r: 2 ** 30}})],
    ['a huge p', parameters('SCRYPT', {scrypt: {...SCRYPT, p: 2 ** 30}})],
    ['a short key', parameters('SCRYPT', {scrypt: {...SCRYPT, keyLen: 16}})],
    ['no iterations', parameters('PBKDF2', {pbkdf2: {...PBKDF2, iterations: 0}})],
    ['negative iterations', parameters('PBKDF2', {pbkdf2: {...PBKDF2, iterations: -1}})],
    ['too many iterations', parameters('PBKDF2', {pbkdf2: {...PBKDF2, iterations: 2 ** 50}})],
    ['no salt', parameters('PBKDF2', {pbkdf2: PBKDF2, salt: Buffer.alloc(0)})],
    ['a salt of a megabyte', parameters('PBKDF2', {pbkdf2: PBKDF2, salt: Buffer.alloc(2 ** 20)})],
    ...KDFS.map((kdf) => [`no parameters for ${kdf}`, parameters(kdf)] as const),
  ]
  for (const [name, given] of hostile) {
    it(`refuses a configuration that asks for ${name}`, async function () {
      expect(await failureOf(deriveSecret(given, PASSPHRASE))).to.be.instanceOf(StoreFormatError)
    })
  }

  it('refuses what it does not know, and an empty passphrase', async function () {
    expect(await failureOf(deriveSecret(parameters('BCRYPT'), PASSPHRASE))).to.be.instanceOf(VersionError)
    const md5 = parameters('PBKDF2', {pbkdf2: {...PBKDF2, hashing: 'MD5'}})
    expect(await failureOf(deriveSecret(md5, PASSPHRASE))).to.be.instanceOf(VersionError)
    expect(await failureOf(deriveSecret(vectors[0]![0], ''))).to.be.instanceOf(InvalidArgumentError)
  })

  it('opens the golden stores with their passphrase, whose secret proves CONFIG', async function () {
    for (const name of ['encrypted', 'encrypted-sha256'] as const) {
      const {configuration, secret} = await unlockedGolden(name)
      expect(secret!.bytes.length).to.equal(32)
      expect(configuration.encryption).to.not.equal(undefined)
    }
  })

  it('tells a wrong passphrase from damage, and shows neither passphrase', async function () {
    const config = goldenObjects('encrypted').find(({tag}) => tag === 'CONFIG')!.bytes
    const {encryption} = await openConfiguration(config)
    const wrong = `${GOLDEN_PASSPHRASE}!`
    const failure = await failureOf(unlock(encryption!, wrong))
    expect(failure.code).to.equal('UNAUTHORIZED')
    expect(JSON.stringify(failure) + inspect(failure, {depth: 9, showHidden: true})).to.not.contain('battery')
  })

  for (const kdf of KDFS) {
    it(`makes an encryption with ${kdf} that its passphrase unlocks and no other`, async function () {
      const {configuration, secret} = await newEncryption('one', kdf)
      expect(configuration.canary.length).to.equal(100)
      expect((await unlock(configuration, 'one')).bytes.equals(secret.bytes)).to.equal(true)
      expect((await failureOf(unlock(configuration, 'two'))).code).to.equal('UNAUTHORIZED')
    })
  }
})
