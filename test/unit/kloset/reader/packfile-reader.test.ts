import {expect} from 'chai'

import type {Mac} from '../../../../src/kloset/mac.js'

import {IntegrityError, InterruptedError} from '../../../../src/errors.js'
import {PackfileReader} from '../../../../src/kloset/reader/packfile-reader.js'
import {settle} from '../../../helpers/h2-peer.js'
import {random} from '../../../helpers/random.js'
import {RecordingStore} from '../../../helpers/reader-store.js'
import {pattern} from '../../../helpers/rpc-service.js'

const PAGE = 4096
const A = 'a'.repeat(64) as Mac
const B = 'b'.repeat(64) as Mac

describe('PackfileReader', () => {
  const bytes = pattern(40 * PAGE + 123)
  let reader: PackfileReader
  let store: RecordingStore

  beforeEach(() => {
    store = new RecordingStore()
    store.objects.set(A, bytes)
    store.objects.set(B, Buffer.from(bytes).reverse())
    reader = new PackfileReader(store, {cacheBytes: 64 * PAGE, maxRunBytes: 8 * PAGE, pageBytes: PAGE})
  })

  async function read(offset: number, length: number, mac = A): Promise<Buffer> {
    const parts: Buffer[] = []
    for await (const part of reader.read(mac, {length, offset})) parts.push(Buffer.from(part))
    return Buffer.concat(parts)
  }

  function now(offset: number, length: number): Buffer | undefined {
    const parts: Buffer[] = []
    return reader.readNow(A, {length, offset}, (part) => parts.push(Buffer.from(part)))
      ? Buffer.concat(parts)
      : undefined
  }

  it('reads ranges inside a page, over pages, to the end and beyond it', async () => {
    const ranges: [number, number][] = [
      [0, 1],
      [10, 100],
      [PAGE - 1, 2],
      [PAGE, PAGE],
      [3 * PAGE - 5, 4 * PAGE],
      [bytes.length - 10, 10],
      [bytes.length - 10, 5000],
      [0, bytes.length],
      [bytes.length, 1],
      [bytes.length + 1000, 10],
      [5, 0],
    ]
    for (const [offset, length] of ranges) {
      const wanted = bytes.subarray(offset, offset + length)
      expect((await read(offset, length)).equals(wanted), `${length} at ${offset}`).to.equal(true)
      expect(now(offset, length)?.equals(wanted), `${length} at ${offset} again`).to.equal(true)
    }
  })

  it('asks for the size once, and for a page once', async () => {
    await read(100, 50)
    await read(200, 50)
    await read(100, 50)
    expect(store.stats).to.deep.equal([A])
    expect(store.gets).to.deep.equal([{length: PAGE, mac: A, offset: 0}])
  })

  it('has nothing at hand that was not read', async () => {
    expect(now(0, 10)).to.equal(undefined)
    await read(0, 10)
    expect(now(0, PAGE)).to.have.length(PAGE)
    expect(now(PAGE - 1, 2), 'half of it').to.equal(undefined)
    expect(reader.readNow(B, {length: 1, offset: 0}, () => expect.fail('handed out'))).to.equal(false)
  })

  it('shares a request between all who wait for the same page', async () => {
    let open!: () => void
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    store.before = () => gate
    const reads = Array.from({length: 50}, async (_, index) => read(index * 10, 10))
    await settle()
    open()
    const results = await Promise.all(reads)
    for (const [index, result] of results.entries()) {
      expect(result.equals(bytes.subarray(index * 10, index * 10 + 10))).to.equal(true)
    }

    expect(store.gets).to.have.length(1)
    expect(store.stats).to.have.length(1)
  })

  it('loads little after a jump, and more and more along a walk, ahead of it', async () => {
    await read(20 * PAGE, 10)
    await read(10 * PAGE, 10)
    await read(0, 10)
    expect(store.gets.map(({length}) => length)).to.deep.equal([PAGE, PAGE, PAGE])
    store.gets.length = 0
    for (let offset = 0; offset < 10 * PAGE; offset += 512) await read(offset, 512)
    await settle()
    // 1 and 2 on a miss; the rest before anybody asked. Page 10 is there.
    expect(store.gets.map(({length, offset}) => [offset / PAGE, length / PAGE])).to.deep.equal([
      [1, 2],
      [3, 4],
      [7, 3],
    ])
  })

  it('walks a whole packfile with few requests, never over its end', async () => {
    for (let offset = 0; offset < bytes.length; offset += 512) await read(offset, 512)
    expect(store.gets.length).to.be.at.most(8)
    const total = store.gets.reduce((sum, {length}) => sum + length, 0)
    expect(total).to.equal(bytes.length)
    expect(Math.max(...store.gets.map(({length}) => length))).to.be.at.most(8 * PAGE)
  })

  it('walks at several places of one packfile at once', async () => {
    for (let step = 0; step < 16 * PAGE; step += 512) {
      await read(step, 512)
      await read(20 * PAGE + step, 512)
    }

    expect(store.gets.length).to.be.at.most(16)
    const total = store.gets.reduce((sum, {length}) => sum + length, 0)
    expect(total, 'no byte twice').to.be.at.most(bytes.length)
  })

  it('does not load ahead when told so', async () => {
    reader = new PackfileReader(store, {cacheBytes: 64 * PAGE, maxRunBytes: PAGE, pageBytes: PAGE, readAhead: false})
    await read(0, 10)
    await read(PAGE, 10)
    await settle()
    expect(store.gets.map(({offset}) => offset)).to.deep.equal([0, PAGE])
  })

  it('loads a long range in runs, the next one while the first is used', async () => {
    await read(0, 20 * PAGE)
    await settle()
    expect(store.gets.map(({length, offset}) => [offset / PAGE, length / PAGE])).to.deep.equal([
      [0, 8],
      [8, 8],
      [16, 4],
      [20, 8],
    ])
  })

  it('hands out a page as soon as it is there, before the rest of its run', async () => {
    const parts: number[] = []
    let release!: () => void
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const original = store.get.bind(store)
    store.get = async (resource, mac, options) => {
      const stream = await original(resource, mac, options)
      const {Readable} = await import('node:stream')
      return Readable.from(
        (async function* () {
          let sent = 0
          for await (const chunk of stream) {
            if (sent >= 2 * PAGE) await held
            sent += (chunk as Buffer).length
            yield chunk
          }
        })(),
      )
    }

    const iterator = reader.read(A, {length: 5 * PAGE, offset: 0})
    parts.push((await iterator.next()).value!.length)
    release()
    for await (const part of iterator) parts.push(part.length)
    expect(parts).to.deep.equal([PAGE, PAGE, PAGE, PAGE, PAGE])
  })

  describe('memory', () => {
    it('stays within its bound, whatever is read', async () => {
      for (let round = 0; round < 3; round++) {
        for (const mac of [A, B]) {
          for (let offset = 0; offset < bytes.length; offset += 3000) {
            await read(offset, 3000, mac)
            expect(reader.cachedBytes).to.be.at.most(64 * PAGE)
          }
        }
      }
    })

    it('forgets what was used longest ago', async () => {
      reader = new PackfileReader(store, {cacheBytes: 8 * PAGE, maxRunBytes: PAGE, pageBytes: PAGE, readAhead: false})
      for (const page of [0, 2, 4, 6, 8, 10, 12, 14]) await read(page * PAGE, 1)
      expect(now(0, 1)).to.have.length(1)
      await read(16 * PAGE, 1)
      expect(now(0, 1), 'used just now').to.have.length(1)
      expect(now(2 * PAGE, 1), 'used longest ago').to.equal(undefined)
      expect((await read(2 * PAGE, 1)).equals(bytes.subarray(2 * PAGE, 2 * PAGE + 1))).to.equal(true)
    })

    it('gives bytes that stay what they are when their page has gone', async () => {
      reader = new PackfileReader(store, {cacheBytes: 8 * PAGE, maxRunBytes: PAGE, pageBytes: PAGE})
      let kept: Buffer | undefined
      for await (const part of reader.read(A, {length: 100, offset: 50})) kept = part
      for (let page = 1; page < 40; page++) await read(page * PAGE, 10)
      expect(kept!.equals(bytes.subarray(50, 150))).to.equal(true)
    })

    it('makes pages smaller that would not fit', async () => {
      reader = new PackfileReader(store, {cacheBytes: 8 * PAGE, pageBytes: 100 * PAGE})
      expect((await read(0, bytes.length)).equals(bytes)).to.equal(true)
      expect(reader.cachedBytes).to.be.at.most(8 * PAGE)
    })
  })

  describe('failure', () => {
    it('fails all who wait, and tries again for the next', async () => {
      store.before = () => {
        throw new IntegrityError('broken')
      }

      const results = await Promise.allSettled([read(0, 10), read(100, 10), read(PAGE - 1, 3)])
      for (const result of results) expect(result).to.deep.include({status: 'rejected'})
      expect(reader.cachedBytes).to.equal(0)
      store.before = () => {}
      expect((await read(0, 10)).equals(bytes.subarray(0, 10))).to.equal(true)
    })

    it('keeps the pages that came before the break', async () => {
      const original = store.get.bind(store)
      store.get = async (resource, mac, options) => {
        const stream = await original(resource, mac, options)
        const {Readable} = await import('node:stream')
        return Readable.from(
          (async function* () {
            let sent = 0
            for await (const chunk of stream) {
              if (sent > 2 * PAGE) throw new IntegrityError('cut')
              sent += (chunk as Buffer).length
              yield chunk
            }
          })(),
        )
      }

      const failure = await read(0, 6 * PAGE).catch((error: Error) => error)
      expect(failure).to.be.instanceOf(IntegrityError)
      store.get = original
      expect(now(0, 2 * PAGE)?.equals(bytes.subarray(0, 2 * PAGE))).to.equal(true)
      expect(now(2 * PAGE, 2 * PAGE)).to.equal(undefined)
      expect((await read(0, 6 * PAGE)).equals(bytes.subarray(0, 6 * PAGE))).to.equal(true)
    })

    it('refuses an answer that is too short', async () => {
      const original = store.get.bind(store)
      store.get = async (resource, mac, options) =>
        original(resource, mac, {...options, range: {length: 5, offset: options!.range!.offset}})
      const failure = await read(0, 10).catch((error: Error) => error)
      expect(failure).to.have.property('code', 'PROTOCOL')
    })

    it('does not mind a failure ahead of a walk', async () => {
      store.before = ({offset}) => {
        if (offset >= 3 * PAGE) throw new IntegrityError('broken')
      }

      for (let page = 0; page < 3; page++) await read(page * PAGE, 10)
      await settle()
      expect(store.gets.length).to.be.greaterThan(2)
      store.before = () => {}
      expect((await read(3 * PAGE, 10)).equals(bytes.subarray(3 * PAGE, 3 * PAGE + 10))).to.equal(true)
    })

    it('reports a packfile that is not there, each time', async () => {
      const missing = 'c'.repeat(64) as Mac
      for (let time = 0; time < 2; time++) {
        const failure = await read(0, 1, missing).catch((error: Error) => error)
        expect(failure).to.have.property('code', 'NOT_FOUND')
      }
    })

    it('lets one reader go and the others on', async () => {
      let open!: () => void
      const gate = new Promise<void>((resolve) => {
        open = resolve
      })
      store.before = () => gate
      const abort = new AbortController()
      const iterator = reader.read(A, {length: 10, offset: 0}, {signal: abort.signal})
      const cancelled = iterator.next().catch((error: Error) => error)
      const other = read(0, 10)
      await settle()
      abort.abort()
      expect(await cancelled).to.be.instanceOf(InterruptedError)
      open()
      expect((await other).equals(bytes.subarray(0, 10))).to.equal(true)
      expect(store.gets).to.have.length(1)
    })

    it('ends everything when it is closed', async () => {
      store.before = async () =>
        new Promise((resolve) => {
          setTimeout(resolve, 5)
        })
      const waiting = read(0, 10).catch((error: Error) => error)
      await settle()
      reader.close()
      expect(await waiting).to.be.instanceOf(InterruptedError)
    })
  })

  it('forgets a packfile that was deleted', async () => {
    await read(0, 10)
    reader.forget(A)
    expect(now(0, 10)).to.equal(undefined)
    expect(reader.cachedBytes).to.equal(0)
    store.objects.set(A, pattern(100).reverse())
    expect((await read(0, 1000)).equals(store.objects.get(A)!)).to.equal(true)
  })

  it('agrees with the bytes under random use, in parallel and with little memory', async () => {
    const next = random(4242)
    reader = new PackfileReader(store, {cacheBytes: 12 * PAGE, maxRunBytes: 4 * PAGE, pageBytes: PAGE})
    store.before = async () => {
      if (next() < 0.02) throw new IntegrityError('now and then')
      if (next() < 0.5) await settle()
    }

    let failed = 0
    const worker = async () => {
      for (let turn = 0; turn < 150; turn++) {
        const offset = Math.floor(next() * bytes.length)
        const length = Math.floor(next() ** 3 * 10 * PAGE)
        const mac = next() < 0.5 ? A : B
        if (next() < 0.01) reader.forget(mac)
        try {
          const got = await read(offset, length, mac)
          expect(got.equals(store.objects.get(mac)!.subarray(offset, offset + length))).to.equal(true)
        } catch (error) {
          if (!(error instanceof IntegrityError)) throw error
          failed++
        }
      }
    }

    await Promise.all(Array.from({length: 8}, worker))
    expect(reader.cachedBytes).to.be.at.most(12 * PAGE)
    expect(failed).to.be.within(1, 300)
  })
})
