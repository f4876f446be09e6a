import {expect} from 'chai'

import {KlosetOciError} from '../../../src/errors.js'
import {decodeConfiguration, openConfiguration} from '../../../src/kloset/configuration.js'
import {openEnvelope, parseHeader} from '../../../src/kloset/envelope.js'
import {decodeLock, encodeLock} from '../../../src/kloset/lock.js'
import {buildObjectManifest, readObjectManifest} from '../../../src/kloset/object-manifest.js'
import {makeVersion} from '../../../src/kloset/version.js'
import {digestOf} from '../../../src/registry/digest.js'
import {MEDIA_TYPE} from '../../../src/registry/media-types.js'
import {goldenObjects} from '../../helpers/golden.js'
import {GOLDEN} from '../../helpers/hooks.js'
import {type Random, seeded} from '../../helpers/random.js'

const V1 = makeVersion(1, 0, 0)
const ROUNDS = 1500
const SEED = 20_260_101

/** Codes in which a decoder may refuse its input. Anything else is a crash. */
const REFUSALS = new Set(['PROTOCOL', 'STORE_FORMAT', 'VERSION'])

/** msgpack codes that announce a length, and one that announces nothing. */
const NASTY = ['c6ffffffff', 'c9ffffffff', 'dbffffffff', 'ddffffffff', 'dfffffffff', 'c1', 'd7ffffffffffffffffff']

/** A copy with some bytes changed, cut out, doubled, or replaced by something nasty. */
function mutated(bytes: Buffer, random: Random): Buffer {
  let copy = Buffer.from(bytes)
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(copy.length + 1)
    const to = Math.min(copy.length, at + 1 + random.below(16))
    const middle = [
      random.bytes(to - at),
      Buffer.alloc(0),
      Buffer.concat([copy.subarray(at, to), copy.subarray(at, to)]),
      Buffer.from(NASTY[random.below(NASTY.length)]!, 'hex'),
    ][random.below(4)]!
    copy = Buffer.concat([copy.subarray(0, at), middle, copy.subarray(to)])
  }

  return copy
}

async function refusesOrReads(decode: (bytes: Buffer) => unknown, bytes: Buffer, what: string): Promise<boolean> {
  try {
    await decode(bytes)
    return true
  } catch (error) {
    const isRefusal = error instanceof KlosetOciError && REFUSALS.has(error.code)
    if (!isRefusal) throw new Error(`${what}: ${bytes.toString('hex')}`, {cause: error})
    return false
  }
}

describe('decoders of the store core, on mutated input', () => {
  const configs = GOLDEN.map((name) => goldenObjects(name).find(({tag}) => tag === 'CONFIG')!.bytes)
  const lock = encodeLock({exclusive: true, hostname: 'host', timestamp: {nanoseconds: 1, seconds: 2}, version: V1})
  const layer = {digest: digestOf(lock), mediaType: MEDIA_TYPE.octetStream, size: lock.length}
  const manifest = buildObjectManifest({artifactType: true, created: 0, layer, resource: 'lock', tag: 'locks-1'})
  const targets: [string, Buffer[], (bytes: Buffer) => unknown][] = [
    ['openConfiguration', configs, async (bytes) => openConfiguration(bytes)],
    ['decodeConfiguration', configs.map((bytes) => bytes.subarray(16, -32)), (bytes) => decodeConfiguration(bytes, V1)],
    ['openEnvelope', configs, (bytes) => openEnvelope(bytes, {resource: 'config', what: 'x'})],
    ['parseHeader', configs, (bytes) => parseHeader(bytes, 'x')],
    ['decodeLock', [lock], (bytes) => decodeLock(bytes, 'x')],
    [
      'readObjectManifest',
      [Buffer.from(manifest.bytes)],
      (bytes) => readObjectManifest({bytes, mediaType: MEDIA_TYPE.imageManifest}, 'x'),
    ],
  ]

  for (const [name, corpus, decode] of targets) {
    it(`${name} refuses in its own words or reads, and takes no memory that is only announced (seed ${SEED})`, async () => {
      const random = seeded(SEED)
      let read = 0
      for (let round = 0; round < ROUNDS; round++) {
        const bytes = mutated(corpus[round % corpus.length]!, random)
        if (await refusesOrReads(decode, bytes, `${name}, round ${round}`)) read += 1
      }

      expect(read).to.be.lessThan(ROUNDS)
      for (const bytes of corpus) expect(await refusesOrReads(decode, bytes, name)).to.equal(true)
    })
  }
})
