import {expect} from 'chai'
import {readdirSync} from 'node:fs'

import {Buckets, BUCKETS} from '../../../src/util/buckets.js'
import {failureIn} from '../../helpers/failure.js'
import {scratchDir} from '../../helpers/hooks.js'
import {seeded} from '../../helpers/random.js'

describe('Buckets', () => {
  it('gives records back in their order, bucket by bucket, from memory and from the disk', () => {
    const dir = scratchDir('buckets')
    const buckets = new Buckets(7, {dir})
    const draw = seeded(11)
    const wanted = Array.from({length: BUCKETS}, (): string[] => [])
    // One bucket has many blocks, others a few records or none.
    for (let number = 0; number < 60_000; number++) {
      const record = Buffer.concat([Buffer.of(draw.below(3) === 0 ? draw.below(250) : 42), draw.bytes(6)])
      buckets.add(record)
      wanted[record[0]!]!.push(record.toString('hex'))
    }

    expect(buckets.bytesOnDisk).to.be.greaterThan(200_000)
    for (let round = 0; round < 2; round++) {
      for (let bucket = 0; bucket < BUCKETS; bucket++) {
        const found = Array.from(buckets.records(bucket), (record) => record.toString('hex'))
        expect(found, String(bucket)).to.deep.equal(wanted[bucket])
      }
    }

    // Its file has no name: nothing is left, however the process ends.
    expect(readdirSync(dir)).to.deep.equal([])
    buckets.dispose()
    buckets.dispose()
  })

  it('makes no file for what fits into memory', () => {
    const buckets = new Buckets(100, {dir: '/nowhere'})
    for (let number = 0; number < 163; number++) buckets.add(Buffer.alloc(100, number))
    expect([...buckets.records(162)]).to.deep.equal([Buffer.alloc(100, 162)])
    expect(buckets.bytesOnDisk).to.equal(0)
  })

  it('says which folder has no room, or is not there', () => {
    const buckets = new Buckets(100, {dir: '/nowhere'})
    const error = failureIn(() => {
      for (let number = 0; number < 164; number++) buckets.add(Buffer.alloc(100))
    })
    expect(error.code).to.equal('IO')
    expect(error.message).to.contain('/nowhere')
    expect(error.suggestions.join(' ')).to.contain('TMPDIR')
  })
})
