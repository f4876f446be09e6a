import {expect} from 'chai'

import {encodeHeaders} from '../../../../src/plugin/h2/hpack.js'
import {Flag, FrameType, PREFACE, Setting} from '../../../../src/plugin/h2/protocol.js'
import {frame, GET_BLOCK, H2Peer, settings, settle, u32} from '../../../helpers/h2-peer.js'
import {random} from '../../../helpers/random.js'

/** Frames of a client that mostly keeps to the rules. */
class Traffic {
  #id = 1
  readonly #next: () => number
  readonly #open: number[] = []

  constructor(next: () => number) {
    this.#next = next
  }

  begin(flags: number): Buffer {
    const stream = this.#id
    this.#id += 2
    if (!(flags & Flag.END_STREAM)) this.#open.push(stream)
    return frame(FrameType.HEADERS, Flag.END_HEADERS | flags, stream, GET_BLOCK)
  }

  frame(): Buffer {
    const known = 1 + 2 * this.#below((this.#id - 1) / 2)
    const choices: (() => Buffer)[] = [
      () => this.begin(0),
      () => this.begin(Flag.END_STREAM),
      () => this.#data(),
      () => frame(FrameType.WINDOW_UPDATE, 0, 0, u32(1 + this.#below(100_000))),
      () => frame(FrameType.WINDOW_UPDATE, 0, known, u32(1 + this.#below(100_000))),
      () => frame(FrameType.PING, 0, 0, Buffer.alloc(8)),
      () => frame(FrameType.SETTINGS, 0, 0, settings([Setting.INITIAL_WINDOW_SIZE, this.#below(200_000)])),
      () => (this.#next() < 0.05 ? frame(FrameType.RST_STREAM, 0, known, u32(8)) : frame(20, 0, 0)),
      () => (this.#next() < 0.05 ? this.#odd() : frame(FrameType.PING, 1, 0, Buffer.alloc(8))),
    ]
    return choices[this.#below(choices.length)]!()
  }

  #below(limit: number): number {
    return Math.floor(this.#next() * limit)
  }

  #data(): Buffer {
    const [stream] = this.#open
    if (stream === undefined) return this.begin(0)
    const flags = this.#below(2)
    if (flags === Flag.END_STREAM) this.#open.shift()
    return frame(FrameType.DATA, flags, stream, Buffer.alloc(this.#below(3000)))
  }

  #odd(): Buffer {
    return frame(this.#below(12), this.#below(256), this.#below(8), Buffer.alloc(this.#below(40), this.#below(256)))
  }
}

const seed = Number(process.env['KLOSET_OCI_FUZZ_SEED'] ?? 20_260_301)
const rounds = Number(process.env['KLOSET_OCI_FUZZ_ROUNDS'] ?? 400)

describe(`HTTP/2 session under fuzz (seed ${seed})`, () => {
  it('survives random sequences of valid, odd and damaged frames', async () => {
    const next = random(seed)
    const below = (limit: number) => Math.floor(next() * limit)
    let broken = 0
    let answered = 0

    for (let round = 0; round < rounds; round++) {
      const peer = new H2Peer((stream) => {
        stream.consumer = {
          data(bytes) {
            stream.consumed(bytes.length)
          },
          end() {
            answered++
            stream.sendHeaders(encodeHeaders(200, []))
            stream.send(Buffer.alloc(5), Buffer.alloc(below(100_000)))
            stream.end(encodeHeaders('none', [['grpc-status', '0']]))
          },
          reset() {},
        }
      })
      peer.session.receive(PREFACE)
      peer.session.receive(frame(FrameType.SETTINGS, 0, 0))
      const traffic = new Traffic(next)
      peer.session.receive(traffic.begin(0))
      for (let step = 0; step < 60 && !peer.error; step++) {
        const bytes = traffic.frame()
        // A damaged bit now and then.
        if (next() < 0.01) bytes[below(bytes.length)]! ^= 1 << below(8)
        const cut = below(bytes.length + 1)
        peer.session.receive(bytes.subarray(0, cut))
        peer.session.receive(bytes.subarray(cut))
      }

      await settle()
      if (peer.error) broken++
      else peer.session.close('over')
      expect(peer.session.active, `round ${round}`).to.equal(0)
      // Whatever happened, what went out is a sound sequence of frames.
      const frames = await peer.received()
      const last = frames.at(-1)
      if (peer.error) expect(last?.type, `round ${round}`).to.equal(FrameType.GOAWAY)
    }

    expect(answered).to.be.greaterThan(rounds)
    expect(broken)
      .to.be.greaterThan(rounds / 20)
      .and.lessThan(rounds * 0.95)
  })

  it('survives pure noise', () => {
    const next = random(seed + 1)
    for (let round = 0; round < rounds; round++) {
      const peer = new H2Peer()
      if (round % 2 === 0) peer.session.receive(Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0)]))
      const noise = Buffer.from(Array.from({length: 2000}, () => Math.floor(next() * 256)))
      // Small lengths, so that frames are complete now and then.
      for (let at = 0; at < noise.length; at += 11) noise.writeUInt16BE(0, at === 0 ? 0 : at - 1)
      peer.session.receive(noise)
      peer.session.close('over')
      expect(peer.session.active).to.equal(0)
    }
  })
})
