import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import {join} from 'node:path'
import {Readable} from 'node:stream'

import {hasCode} from '../../../../src/errors.js'
import {type CachedBlob, DiskCache} from '../../../../src/kloset/reader/disk-cache.js'
import {digestOf} from '../../../../src/registry/digest.js'
import {collect} from '../../../../src/util/collect.js'
import {failureOf} from '../../../helpers/failure.js'
import {scratchDir} from '../../../helpers/hooks.js'

const KIB = 1024

function blob(bytes: Buffer): CachedBlob {
  return {digest: digestOf(bytes), size: bytes.length}
}

function* halves(bytes: Buffer): Generator<Buffer> {
  yield bytes.subarray(0, bytes.length / 2)
  yield bytes.subarray(bytes.length / 2)
}

async function whole(stream: AsyncIterable<unknown>): Promise<Buffer> {
  return collect(Readable.from(stream), {limit: 10_000 * KIB, what: 'it'})
}

describe('disk cache', () => {
  let dir: string
  let cache: DiskCache

  beforeEach(async () => {
    dir = join(scratchDir('cache'), 'states')
    cache = await DiskCache.open({dir, maxBytes: 1000 * KIB})
  })

  async function keep(bytes: Buffer, into = cache): Promise<void> {
    expect((await whole(into.fill(blob(bytes), Readable.from(halves(bytes))))).equals(bytes)).to.equal(true)
  }

  async function kept(bytes: Buffer, from = cache): Promise<boolean> {
    const stream = await from.read(blob(bytes))
    if (!stream) return false
    expect((await whole(stream)).equals(bytes)).to.equal(true)
    return true
  }

  it('gives back what went through it, also to another process', async () => {
    const bytes = [randomBytes(0), randomBytes(1), randomBytes(200 * KIB)]
    for (const each of bytes) {
      expect(await kept(each)).to.equal(false)
      await keep(each)
      expect(await kept(each)).to.equal(true)
      expect(await kept(each, await DiskCache.open({dir, maxBytes: 1000 * KIB}))).to.equal(true)
    }

    expect(readdirSync(dir).sort()).to.deep.equal(bytes.map((each) => digestOf(each).replace(':', '-')).sort())
  })

  const damages: [string, (path: string) => void][] = [
    ['other bytes', (path) => flip(path)],
    ['a lost end', (path) => truncateSync(path, 10)],
    ['a byte too many', (path) => writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(1)]))],
    ['nothing', (path) => truncateSync(path, 0)],
  ]
  for (const [what, damage] of damages) {
    it(`drops an entry with ${what}, and takes a good one in its place`, async () => {
      const bytes = randomBytes(100 * KIB)
      await keep(bytes)
      const path = join(dir, readdirSync(dir)[0]!)
      damage(path)
      expect(await kept(bytes)).to.equal(false)
      expect(existsSync(path)).to.equal(false)
      await keep(bytes)
      expect(await kept(bytes)).to.equal(true)
    })
  }

  it('follows no link, and is not upset by a folder in the place of an entry', async () => {
    const [first, second] = [randomBytes(KIB), randomBytes(KIB)]
    const elsewhere = join(scratchDir('elsewhere'), 'secret')
    writeFileSync(elsewhere, first)
    symlinkSync(elsewhere, join(dir, digestOf(first).replace(':', '-')))
    expect(await kept(first)).to.equal(false)
    expect(existsSync(elsewhere)).to.equal(true)
    mkdirSync(join(dir, digestOf(second).replace(':', '-')))
    expect(await kept(second)).to.equal(false)
    await keep(second)
  })

  it('keeps nothing of a stream that breaks or is not read to its end', async () => {
    const bytes = randomBytes(100 * KIB)
    async function* broken() {
      yield bytes.subarray(0, KIB)
      throw new Error('broken')
    }

    expect(((await failureOf(whole(cache.fill(blob(bytes), broken())))) as Error).message).to.equal('broken')
    const given = cache.fill(blob(bytes), Readable.from(halves(bytes)))
    await given.next()
    await given.return([])
    expect(readdirSync(dir)).to.deep.equal([])
  })

  it('lets go what was used longest ago, and never keeps what would push everything out', async () => {
    const entries = Array.from({length: 12}, () => randomBytes(100 * KIB))
    for (const [index, each] of entries.entries()) {
      await keep(each)
      const path = join(dir, digestOf(each).replace(':', '-'))
      if (existsSync(path)) utimesSync(path, 1000 + index, 1000 + index)
      // The first one is used again and again.
      expect(await kept(entries[0]!)).to.equal(true)
    }

    const held = await Promise.all(entries.map(async (each) => kept(each)))
    expect(held.slice(0, 3)).to.deep.equal([true, false, false])
    expect(held.filter(Boolean).length * 100).to.be.within(800, 1000)
    const large = randomBytes(251 * KIB)
    await keep(large)
    expect(await kept(large)).to.equal(false)
  })

  it('cleans up behind processes that died, and leaves the work of others alone', async () => {
    writeFileSync(join(dir, 'sha256-00.1-00.part'), 'old')
    utimesSync(join(dir, 'sha256-00.1-00.part'), 1000, 1000)
    writeFileSync(join(dir, 'sha256-00.2-00.part'), 'new')
    await keep(randomBytes(10))
    expect(readdirSync(dir).filter((name) => name.endsWith('.part'))).to.deep.equal(['sha256-00.2-00.part'])
  })

  it('is no reason to fail once it is open, and says at once when it cannot be', async () => {
    const file = join(scratchDir('cache'), 'file')
    writeFileSync(file, '')
    const error = await failureOf(DiskCache.open({dir: join(file, 'below'), maxBytes: KIB}))
    expect(hasCode(error, 'IO')).to.equal(true)
    const lost = join(scratchDir('lost'), 'cache')
    const away = await DiskCache.open({dir: lost, maxBytes: 1000 * KIB})
    rmSync(lost, {recursive: true})
    const bytes = randomBytes(KIB)
    await keep(bytes, away)
    expect(await kept(bytes, away)).to.equal(false)
  })
})

function flip(path: string): void {
  const bytes = readFileSync(path)
  bytes[50] = 255 - bytes[50]!
  writeFileSync(path, bytes)
}
