import {expect} from 'chai'
import {once} from 'node:events'
import {PassThrough, Readable} from 'node:stream'
import {setImmediate as turn} from 'node:timers/promises'

import {Relay} from '../../../src/util/relay.js'

/** Passes bytes on, with `!` behind the last; refuses an `x`. */
class Shout extends Relay {
  protected override accept(chunk: Buffer): Buffer {
    if (chunk.includes('x')) throw new Error('an x')
    return chunk
  }

  protected override finish(): Buffer {
    return Buffer.from('!')
  }
}

function shout(source: Readable, highWaterMark = 16): Shout {
  return new Shout(source, {highWaterMark})
}

async function read(stream: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

async function failure(stream: Readable): Promise<Error> {
  try {
    await read(stream)
  } catch (error) {
    return error as Error
  }

  throw new Error('it ended well')
}

describe('a relay', () => {
  it('hands on everything, in order, and what its end adds', async () => {
    expect(await read(shout(Readable.from([Buffer.from('ab'), Buffer.from('cd')])))).to.equal('abcd!')
    expect(await read(shout(Readable.from([])))).to.equal('!')
  })

  it('reads on only when it is read', async () => {
    let given = 0
    const source = new Readable({
      highWaterMark: 1,
      read() {
        given += 1
        this.push(given > 100 ? null : Buffer.alloc(10, 'a'))
      },
    })
    const relay = shout(source, 20)
    await turn()
    expect(given, 'before it is asked').to.be.lessThan(3)
    relay.read(0)
    for (let i = 0; i < 20; i++) await turn()
    expect(given).to.be.lessThan(8)
    expect(await read(relay)).to.have.length(1001)
  })

  it('waits for a source that is still to come', async () => {
    const relay = new Shout(undefined, {highWaterMark: 16})
    const whole = read(relay)
    await turn()
    relay.attach(Readable.from([Buffer.from('ab')]))
    expect(await whole).to.equal('ab!')
  })

  it('destroys a source that comes too late', async () => {
    const relay = new Shout(undefined, {highWaterMark: 16})
    relay.destroy()
    const source = new PassThrough()
    relay.attach(source)
    await once(source, 'close')
    expect(relay.errored).to.equal(null)
  })

  it('ends with the error of its step, and destroys the source', async () => {
    const source = new PassThrough()
    source.write('abx')
    expect((await failure(shout(source))).message).to.equal('an x')
    expect(source.destroyed).to.equal(true)
  })

  it('ends with the error of the source', async () => {
    const source = new PassThrough()
    source.write('ab')
    const relay = shout(source)
    relay.once('data', () => source.destroy(new Error('the disk')))
    expect((await failure(relay)).message).to.equal('the disk')
  })

  it('fails when the source is destroyed before its end, or was already', async () => {
    const source = new PassThrough()
    source.write('ab')
    const relay = shout(source)
    relay.once('data', () => source.destroy())
    expect((await failure(relay)) as NodeJS.ErrnoException).to.have.property('code', 'ERR_STREAM_PREMATURE_CLOSE')
    expect((await failure(shout(source))) as NodeJS.ErrnoException).to.have.property(
      'code',
      'ERR_STREAM_PREMATURE_CLOSE',
    )
  })

  it('destroys the source when it is destroyed, and says no more', async () => {
    const source = new PassThrough()
    source.write('ab')
    const relay = shout(source)
    relay.once('data', () => relay.destroy())
    await once(relay, 'close')
    await turn()
    expect(source.destroyed).to.equal(true)
    expect(relay.errored).to.equal(null)
  })
})
