import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {PassThrough, Readable} from 'node:stream'
import {setImmediate as turn} from 'node:timers/promises'

import {bufferSource, fileSource, readableOfAll} from '../../../src/util/content-source.js'
import {drain} from '../../../src/util/drain.js'
import {Relay} from '../../../src/util/relay.js'
import {failureOf} from '../../helpers/failure.js'
import {scratchDir} from '../../helpers/hooks.js'
import {READERS} from '../../helpers/readers.js'

const BYTES = randomBytes(2_500_000)

/** Passes bytes on. */
class Through extends Relay {
  protected override accept(chunk: Buffer): Buffer {
    return chunk
  }

  protected override finish(): undefined {}
}

function through(source?: Readable): Through {
  return new Through(source, {highWaterMark: 256 * 1024})
}

async function* unlike(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array([0x61, 0x62])
  yield Buffer.from('c')
}

/** Pieces of `size` bytes. */
function pieces(size: number): Buffer[] {
  return Array.from({length: Math.ceil(BYTES.length / size)}, (_, index) =>
    BYTES.subarray(index * size, (index + 1) * size),
  )
}

const STREAMS: Record<string, () => Readable> = {
  'a file': () => fileSource(file(), BYTES.length).open(),
  'a relay': () => through(through(bufferSource(BYTES).open())),
  'a relay of a file': () => through(fileSource(file(), BYTES.length).open()),
  'a relay whose source comes later'() {
    const relay = through()
    setImmediate(() => relay.attach(Readable.from(pieces(70_000))))
    return relay
  },
  "a stream of Node's": () => Readable.from(pieces(70_000)),
  'bytes in memory': () => bufferSource(BYTES).open(),
  'pieces in memory': () => readableOfAll(pieces(70_000)),
}

function file(): string {
  const path = join(scratchDir('drain'), 'file')
  writeFileSync(path, BYTES)
  return path
}

describe('drain', () => {
  for (const [what, make] of Object.entries(STREAMS)) {
    for (const [way, read] of Object.entries(READERS)) {
      it(`brings all of ${what}, ${way}`, async () => {
        const stream = make()
        expect(BYTES.equals(await read(stream))).to.equal(true)
        await turn()
        expect(stream.destroyed, 'what it holds is freed').to.equal(true)
      })
    }

    it(`fails as the sink does, and gives up ${what}`, async () => {
      for (const sink of [
        () => {
          throw new Error('full')
        },
        async () => {
          await turn()
          throw new Error('full')
        },
      ]) {
        const stream = make()
        expect((await failureOf(drain(stream, sink))).message).to.equal('full')
        expect(stream.destroyed).to.equal(true)
      }
    })

    it(`ends when ${what} is given up meanwhile, and not before the sink is done`, async () => {
      const stream = make()
      let [begun, done] = [0, 0]
      const error = await failureOf(
        drain(stream, async () => {
          begun += 1
          stream.destroy(new Error('no more'))
          for (let turns = 0; turns < 5; turns++) await turn()
          done += 1
        }),
      )
      expect(error.message).to.equal('no more')
      expect([begun, done]).to.deep.equal([1, 1])
    })
  }

  it('fails as the stream does, when the sink is done', async () => {
    const source = new PassThrough()
    source.write('a')
    let done = false
    const failed = failureOf(
      drain(through(source), async () => {
        source.destroy(new Error('broken'))
        for (let turns = 0; turns < 5; turns++) await turn()
        done = true
      }),
    )
    expect((await failed).message).to.equal('broken')
    expect(done).to.equal(true)
  })

  it('fails for a stream that had failed before', async () => {
    for (const stream of [through(new PassThrough()), new PassThrough()]) {
      stream.on('error', () => {})
      stream.destroy(new Error('broken'))
      await turn()
      expect((await failureOf(drain(stream, () => {}))).message).to.equal('broken')
    }
  })

  it('takes anything that yields bytes', async () => {
    let text = ''
    await drain(unlike(), (piece) => {
      text += piece.toString()
    })
    expect(text).to.equal('abc')
  })
})
