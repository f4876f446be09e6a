import {expect} from 'chai'
import {randomBytes} from 'node:crypto'

import {
  checkHeader,
  ENVELOPE_BYTES,
  EnvelopeChecker,
  openEnvelope,
  parseHeader,
  resourceOfType,
  sealEnvelope,
} from '../../../src/kloset/envelope.js'
import {createHasher} from '../../../src/kloset/hashing.js'
import {formatVersion, makeVersion} from '../../../src/kloset/version.js'
import {flipBit} from '../../helpers/damage.js'
import {failureIn} from '../../helpers/failure.js'

const KEY = Buffer.alloc(32, 5)
const VERSION = makeVersion(1, 0, 0)
const header = (type: number, version: number) => ({type, version})
const keyed = async () => createHasher('BLAKE3', KEY)

describe('envelope', () => {
  it('opens what it sealed, in any slices', async () => {
    for (const size of [0, 1, 31, 32, 33, 5000]) {
      const data = randomBytes(size)
      const bytes = sealEnvelope(data, {hasher: await keyed(), resource: 'packfile', version: VERSION})
      expect(bytes).to.have.length(size + ENVELOPE_BYTES)
      const opened = openEnvelope(bytes, {hasher: await keyed(), resource: 'packfile', what: 'x'})
      expect(opened.data.equals(data)).to.equal(true)
      expect(opened.version).to.equal(VERSION)
      for (const slice of [1, 7, 16, 31, 32, 33, 48, 1000]) {
        const checker = new EnvelopeChecker(await keyed())
        for (let offset = 0; offset < bytes.length; offset += slice) {
          checker.update(bytes.subarray(offset, offset + slice))
        }

        expect(checker.finish('x'), `${size} in ${slice}`).to.include({authentic: true, type: 4, version: VERSION})
        expect(checker.size).to.equal(bytes.length)
      }
    }
  })

  it('finds every flipped bit and every truncation', async () => {
    const bytes = sealEnvelope(randomBytes(60), {hasher: await keyed(), resource: 'state', version: VERSION})
    const open = async (damaged: Buffer) => {
      const hasher = await keyed()
      return failureIn(() => openEnvelope(damaged, {hasher, resource: 'state', what: 'x'}))
    }

    for (let bit = 0; bit < bytes.length * 8; bit++) {
      expect((await open(flipBit(bytes, bit))).code, `bit ${bit}`).to.equal('STORE_FORMAT')
    }

    for (let length = 0; length < bytes.length; length++) {
      expect((await open(bytes.subarray(0, length))).code, `length ${length}`).to.equal('STORE_FORMAT')
    }
  })

  it('leaves the MAC open without a key', () => {
    const checker = new EnvelopeChecker()
    checker.update(Buffer.concat([Buffer.from('_PLAKAR_'), Buffer.from([3, 0, 0, 0, 0, 1, 1, 0]), Buffer.alloc(32)]))
    expect(checker.finish('x')).to.include({authentic: undefined, type: 3, version: makeVersion(1, 1, 0)})
  })

  it('names what is wrong with a header', () => {
    expect(failureIn(() => parseHeader(Buffer.alloc(16), 'x')).code).to.equal('STORE_FORMAT')
    expect(failureIn(() => parseHeader(Buffer.from('_KLOSET_'), 'x')).facts['actualSize']).to.equal(8)
    const other = failureIn(() => checkHeader(header(4, VERSION), 'state', 'x'))
    expect([other.code, other.facts['actual']]).to.deep.equal(['STORE_FORMAT', 'packfile'])
    expect(failureIn(() => checkHeader(header(99, VERSION), 'state', 'x')).facts['actual']).to.equal('type 99')
    for (const version of [0, makeVersion(1, 2, 0), makeVersion(2, 0, 0), VERSION + 0x01_00_00_00]) {
      expect(failureIn(() => checkHeader(header(3, version), 'state', 'x')).code).to.equal('VERSION')
    }

    checkHeader(header(3, makeVersion(1, 1, 0)), 'state', 'x')
    expect(failureIn(() => checkHeader(header(2, makeVersion(1, 1, 0)), 'lock', 'x')).code).to.equal('VERSION')
    expect(resourceOfType(2)).to.equal('lock')
    expect(resourceOfType(5)).to.equal(undefined)
  })

  it('writes versions as kloset does', () => {
    expect(makeVersion(1, 1, 0)).to.equal(0x01_01_00)
    expect(formatVersion(0x01_02_03)).to.equal('v1.2.3')
    expect(formatVersion(0x05_01_02_03)).to.equal('v5.1.2.3')
    expect(makeVersion(255, 255, 255)).to.equal(0xff_ff_ff)
  })
})
