import {expect} from 'chai'
import {createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {readdirSync} from 'node:fs'
import {Readable} from 'node:stream'
import {buffer} from 'node:stream/consumers'

import {hasCode, type KlosetOciError} from '../../../src/errors.js'
import {spool, SpoolMemory} from '../../../src/util/spool.js'
import {systemError, withBroken} from '../../helpers/broken-fs.js'
import {failureOf} from '../../helpers/failure.js'
import {scratchDir} from '../../helpers/hooks.js'

async function* pieces(bytes: Buffer, length: number): AsyncGenerator<Buffer> {
  for (let offset = 0; offset < bytes.length; offset += length) yield bytes.subarray(offset, offset + length)
}

async function fullDisk(): Promise<never> {
  throw systemError('ENOSPC', 'write')
}

describe('spool', () => {
  const sizes = [0, 1, 4 * 1024 * 1024, 4 * 1024 * 1024 + 1, 9_000_001]
  for (const size of sizes) {
    it(`keeps ${size} bytes, reads them twice and in part, and knows their digest`, async () => {
      const bytes = randomBytes(size)
      const dir = scratchDir('spool')
      const source = await spool(Readable.from(pieces(bytes, 300_000)), {dir})
      expect(source.size).to.equal(size)
      expect(source.sha256).to.equal(createHash('sha256').update(bytes).digest('hex'))
      for (let time = 0; time < 2; time++) expect(bytes.equals(await buffer(source.open()))).to.equal(true)
      const offset = Math.floor(size / 2)
      expect(
        bytes
          .subarray(offset, offset + 7)
          .equals(await buffer(source.open({length: Math.min(7, size - offset), offset}))),
      ).to.equal(true)
      expect(bytes.subarray(offset).equals(await buffer(source.open({offset})))).to.equal(true)
      await source.dispose()
      expect(readdirSync(dir)).to.deep.equal([])
    })
  }

  it('can be read again after a stream of it was given up in the middle', async () => {
    const bytes = randomBytes(5_000_000)
    const source = await spool(Readable.from(pieces(bytes, 1_000_000)), {dir: scratchDir('spool')})
    for (let time = 0; time < 3; time++) {
      const stream = source.open()
      const [piece] = await once(stream, 'data')
      expect(bytes.indexOf(piece as Buffer)).to.equal(0)
      stream.destroy()
      await once(stream, 'close')
    }

    expect(bytes.equals(await buffer(source.open()))).to.equal(true)
    await source.dispose()
  })

  it('shares memory with others, and goes to a file when there is none any more', async () => {
    const dir = scratchDir('spool')
    const memory = new SpoolMemory(3 * 1024 * 1024)
    const bytes = [2_000_000, 2_000_000, 1_000_000].map((size) => randomBytes(size))
    const made = await withBroken('handle.writeFile', fullDisk, async () => {
      const first = await spool(Readable.from(pieces(bytes[0]!, 300_000)), {dir, memory})
      expect((await failureOf(spool(Readable.from(pieces(bytes[1]!, 300_000)), {dir, memory}))).code).to.equal('IO')
      // What had no room gave back what it had taken.
      return [first, await spool(Readable.from(pieces(bytes[2]!, 300_000)), {dir, memory})]
    })
    expect(memory.take()).to.equal(undefined)
    const second = await spool(Readable.from(pieces(bytes[1]!, 300_000)), {dir, memory})
    expect(bytes[1]!.equals(await buffer(second.open()))).to.equal(true)
    expect(bytes[0]!.equals(await buffer(made[0]!.open()))).to.equal(true)
    for (const source of [...made, second]) await source.dispose()
    expect([memory.take(), memory.take(), memory.take()].every(Boolean)).to.equal(true)
    expect(readdirSync(dir)).to.deep.equal([])
  })

  it('has no file that anybody could find while it is in use', async () => {
    const dir = scratchDir('spool')
    const source = await spool(Readable.from(pieces(randomBytes(5_000_000), 1_000_000)), {dir})
    if (process.platform !== 'win32') expect(readdirSync(dir)).to.deep.equal([])
    await source.dispose()
  })

  it('leaves nothing behind when the stream breaks', async () => {
    const dir = scratchDir('spool')
    async function* broken() {
      yield randomBytes(5_000_000)
      throw new Error('broken')
    }

    const error = await failureOf(spool(Readable.from(broken()), {dir}))
    expect((error as Error).message).to.equal('broken')
    expect(readdirSync(dir)).to.deep.equal([])
  })

  it('says where there is no room, and what to do about it', async () => {
    const dir = scratchDir('spool')
    const error = await withBroken('handle.writeFile', fullDisk, async () =>
      failureOf(spool(Readable.from(pieces(randomBytes(5_000_000), 1_000_000)), {dir})),
    )
    expect(error).to.deep.include({code: 'IO', facts: {errno: 'ENOSPC', path: dir}})
    expect((error as KlosetOciError).suggestions.join(' ')).to.include('TMPDIR')
    expect(readdirSync(dir)).to.deep.equal([])
  })

  it('stops when told to', async () => {
    const controller = new AbortController()
    async function* endless() {
      for (;;) {
        yield randomBytes(1000)
        controller.abort()
      }
    }

    const error = await failureOf(spool(Readable.from(endless()), {signal: controller.signal}))
    expect(hasCode(error, 'INTERRUPTED')).to.equal(true)
  })
})
