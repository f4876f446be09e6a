import {expect} from 'chai'

import {IntegrityError, StoreFormatError} from '../../../../src/errors.js'
import {createCodec} from '../../../../src/kloset/codec/codec.js'
import {openConfiguration} from '../../../../src/kloset/configuration.js'
import {openEnvelope} from '../../../../src/kloset/envelope.js'
import {failureIn, failureOf} from '../../../helpers/failure.js'
import {goldenObjects} from '../../../helpers/golden.js'
import {GOLDEN} from '../../../helpers/hooks.js'
import {seeded} from '../../../helpers/random.js'
import {unlockedGolden} from '../../../helpers/unlocked.js'

for (const name of GOLDEN) {
  describe(`codec of the golden store ${name}`, function () {
    it('decodes its states, whole and streamed', async function () {
      const {codec, hasher, objects} = await unlockedGolden(name)
      for (const [tag, bytes] of objects) {
        if (!tag.startsWith('state-')) continue
        hasher.reset()
        const {data} = openEnvelope(bytes, {hasher, resource: 'state', what: tag})
        const whole = codec.decode(data)
        // Entries of 5 + 85, 41, 72 bytes behind a parent, and metadata of 29 at the end.
        expect(whole.length).to.be.greaterThan(1000)
        expect(whole.at(-29)).to.equal(1)
        const parts: Buffer[] = []
        for await (const part of codec.decodeStream(slices(data))) parts.push(part)
        expect(Buffer.concat(parts).equals(whole)).to.equal(true)
      }
    })

    it('decodes what it encoded, and keeps to a limit', async function () {
      const {codec} = await unlockedGolden(name)
      const random = seeded(1)
      for (const length of [0, 1, 300, 70_000]) {
        const bytes = random.bytes(length)
        expect(codec.decode(codec.encode(bytes), length).equals(bytes)).to.equal(true)
        if (length === 0) continue
        const failure = failureIn(() => codec.decode(codec.encode(bytes), length - 1))
        expect(failure).to.be.instanceOf(StoreFormatError)
        expect(failure.message).to.contain(`more than ${length - 1} bytes`)
      }
    })
  })
}

describe('codec', function () {
  it('wants the secret of an encrypted store', async function () {
    const config = goldenObjects('encrypted').find(({tag}) => tag === 'CONFIG')!.bytes
    expect((await failureOf(createCodec(await openConfiguration(config)))).code).to.equal('UNAUTHORIZED')
  })

  it("does not open one store's objects with another's secret", async function () {
    const one = await unlockedGolden('encrypted')
    const other = await unlockedGolden('encrypted-sha256')
    const encoded = one.codec.encode(Buffer.from('text'))
    expect(failureIn(() => other.codec.decode(encoded))).to.be.instanceOf(IntegrityError)
  })
})

async function* slices(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 333) yield bytes.subarray(at, at + 333)
}
