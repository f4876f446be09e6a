import {expect} from 'chai'

import {encodeHeaders} from '../../../../src/plugin/h2/hpack.js'
import {
  DEFAULT_WINDOW,
  ErrorCode,
  Flag,
  FrameType,
  MAX_FRAME_BYTES,
  Setting,
} from '../../../../src/plugin/h2/protocol.js'
import {frame, GET_BLOCK, H2Peer, settings, settle, u32, type WireFrame} from '../../../helpers/h2-peer.js'

const {DATA, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE} = FrameType
const NOTHING = Buffer.alloc(0)
const TRAILERS = encodeHeaders('none', [['grpc-status', '0']])

function dataBytes(frames: readonly WireFrame[], stream?: number): number {
  return frames
    .filter((one) => one.type === DATA && (stream === undefined || one.stream === stream))
    .reduce((sum, one) => sum + one.payload.length, 0)
}

function pattern(bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; at++) buffer[at] = (at * 31) & 0xff
  return buffer
}

describe('HTTP/2 flow control', () => {
  describe('sending', () => {
    let peer: H2Peer

    beforeEach(async () => {
      peer = await new H2Peer().begin()
    })

    it('stops at the window of the connection and goes on where it stopped', async () => {
      const {stream} = await peer.open(1, true)
      const body = pattern(200_000)
      stream.send(NOTHING, body)
      stream.end(TRAILERS)
      const first = await peer.received()
      expect(dataBytes(first)).to.equal(DEFAULT_WINDOW)
      expect(Math.max(...first.map(({payload}) => payload.length))).to.equal(MAX_FRAME_BYTES)

      await peer.send(frame(WINDOW_UPDATE, 0, 0, u32(100_000)))
      expect(dataBytes(await peer.received()), 'the stream has its own window').to.equal(0)
      await peer.send(frame(WINDOW_UPDATE, 0, 1, u32(70_000)))
      const second = await peer.received()
      expect(dataBytes(second)).to.equal(70_000)
      await peer.send(frame(WINDOW_UPDATE, 0, 1, u32(1_000_000)), frame(WINDOW_UPDATE, 0, 0, u32(1_000_000)))
      const third = await peer.received()
      const all = [...first, ...second, ...third]
      expect(Buffer.concat(all.filter(({type}) => type === DATA).map(({payload}) => payload)).equals(body)).to.equal(
        true,
      )
      expect(all.at(-1)).to.deep.include({flags: Flag.END_HEADERS | Flag.END_STREAM, type: HEADERS})
    })

    it('follows changes of the initial window, also below zero', async () => {
      const {stream} = await peer.open(1, true)
      await peer.send(frame(WINDOW_UPDATE, 0, 0, u32(10_000_000)))
      stream.send(NOTHING, pattern(60_000))
      await peer.received()
      // 5,535 are left; now the window shrinks by 60,000: the stream owes 54,465.
      await peer.send(frame(SETTINGS, 0, 0, settings([Setting.INITIAL_WINDOW_SIZE, 5535])))
      stream.send(NOTHING, pattern(1000))
      expect(dataBytes(await peer.received())).to.equal(0)
      await peer.send(frame(WINDOW_UPDATE, 0, 1, u32(54_465)))
      expect(dataBytes(await peer.received())).to.equal(0)
      await peer.send(frame(WINDOW_UPDATE, 0, 1, u32(400)))
      expect(dataBytes(await peer.received())).to.equal(400)
      // As a host does that has measured the pipe: everything may go at once.
      await peer.send(frame(SETTINGS, 0, 0, settings([Setting.INITIAL_WINDOW_SIZE, 4_000_000])))
      expect(dataBytes(await peer.received())).to.equal(600)
      const later = await peer.open(3, true)
      later.stream.send(NOTHING, pattern(1_000_000))
      expect(dataBytes(await peer.received(), 3)).to.equal(1_000_000)
    })

    it('gives streams turns when the connection window is short', async () => {
      const first = await peer.open(1, true)
      const second = await peer.open(3, true)
      await peer.send(frame(WINDOW_UPDATE, 0, 1, u32(1_000_000)), frame(WINDOW_UPDATE, 0, 3, u32(1_000_000)))
      first.stream.send(NOTHING, pattern(500_000))
      await peer.received()
      second.stream.send(NOTHING, pattern(500_000))
      await peer.send(frame(WINDOW_UPDATE, 0, 0, u32(8 * MAX_FRAME_BYTES)))
      const frames = await peer.received()
      expect(dataBytes(frames, 1)).to.equal(4 * MAX_FRAME_BYTES)
      expect(dataBytes(frames, 3)).to.equal(4 * MAX_FRAME_BYTES)
    })

    it('lets a small answer pass a large one that waits for its own window', async () => {
      const large = await peer.open(1, true)
      await peer.send(frame(WINDOW_UPDATE, 0, 0, u32(1_000_000)))
      large.stream.send(NOTHING, pattern(500_000))
      await peer.received()
      const small = await peer.open(3, true)
      small.stream.send(Buffer.from('ab'), Buffer.from('c'))
      small.stream.end(TRAILERS)
      const frames = await peer.received()
      expect(frames.map(({stream, type}) => [stream, type])).to.deep.equal([
        [3, DATA],
        [3, HEADERS],
      ])
    })

    it('asks the producer to wait, and wakes it when there is room', async () => {
      const {stream} = await peer.open(1, true)
      await peer.send(frame(WINDOW_UPDATE, 0, 0, u32(10_000_000)))
      expect(stream.send(NOTHING, pattern(100_000))).to.equal(true)
      expect(stream.send(NOTHING, pattern(500_000))).to.equal(false)
      let drained = 0
      const waiting = [stream.drained(), stream.drained()].map(async (one) => {
        await one
        drained++
      })
      await settle()
      expect(drained).to.equal(0)
      await peer.send(frame(WINDOW_UPDATE, 0, 1, u32(10_000_000)))
      await Promise.all(waiting)
      expect(drained).to.equal(2)
    })

    it('wakes a producer whose stream is cancelled', async () => {
      const {stream} = await peer.open(1, true)
      stream.send(NOTHING, pattern(1_000_000))
      const waiting = stream.drained()
      await peer.send(frame(RST_STREAM, 0, 1, u32(ErrorCode.CANCEL)))
      await waiting
      expect(stream.closed).to.equal(true)
    })

    it('makes no more frames than the pipe takes, and loses nothing', async () => {
      const {stream} = await peer.open(1, true)
      await peer.send(frame(WINDOW_UPDATE, 0, 0, u32(50_000_000)), frame(WINDOW_UPDATE, 0, 1, u32(50_000_000)))
      await peer.received()
      peer.sink.blocked = true
      const body = pattern(3_000_000)
      stream.send(NOTHING, body)
      stream.end(TRAILERS)
      await settle()
      expect(stream.queuedBytes).to.be.greaterThan(2_000_000)
      for (let turn = 0; turn < 100; turn++) {
        peer.sink.release()
        await settle()
      }

      const frames = await peer.received()
      expect(Buffer.concat(frames.filter(({type}) => type === DATA).map(({payload}) => payload)).equals(body)).to.equal(
        true,
      )
      expect(frames.at(-1)!.type).to.equal(HEADERS)
    })
  })

  describe('receiving', () => {
    let peer: H2Peer

    beforeEach(async () => {
      peer = await new H2Peer().begin()
    })

    const chunk = Buffer.alloc(16_000, 'x')

    it('gives window back only for what was consumed', async () => {
      const {stream} = await peer.open(1)
      await peer.send(...Array.from({length: 4}, () => frame(DATA, 0, 1, chunk)))
      expect(await peer.received()).to.be.empty
      stream.consumed(64_000)
      const [update] = await peer.received()
      expect(update).to.deep.include({stream: 1, type: WINDOW_UPDATE})
      expect(update!.payload.readUInt32BE()).to.equal(64_000)
      await peer.send(...Array.from({length: 4}, () => frame(DATA, 0, 1, chunk)))
      expect(peer.last.reset).to.equal(undefined)
    })

    it('resets a stream that overruns its window', async () => {
      await peer.open(1)
      await peer.send(...Array.from({length: 5}, () => frame(DATA, 0, 1, chunk)))
      expect(peer.last.reset).to.match(/more than the stream window/)
      const [reset] = await peer.received()
      expect(reset).to.deep.include({stream: 1, type: RST_STREAM})
      expect(reset!.payload.readUInt32BE()).to.equal(ErrorCode.FLOW_CONTROL_ERROR)
      expect(peer.error).to.equal(undefined)
    })

    it('widens the window of a stream on request', async () => {
      const {stream} = await peer.open(1)
      stream.widen(1_048_576)
      const [update] = await peer.received()
      expect(update!.payload.readUInt32BE()).to.equal(1_048_576 - DEFAULT_WINDOW)
      await peer.send(...Array.from({length: 60}, () => frame(DATA, 0, 1, chunk)))
      expect(peer.last).to.deep.include({reset: undefined})
      expect(peer.last.data).to.have.length(960_000)
    })

    it('keeps the connection open whatever single streams hold back', async () => {
      let id = 1
      for (let streams = 0; streams < 300; streams++, id += 2) {
        await peer.send(frame(HEADERS, Flag.END_HEADERS, id, GET_BLOCK))
        await peer.send(...Array.from({length: 4}, () => frame(DATA, 0, id, chunk)))
      }

      expect(peer.error).to.equal(undefined)
      const updates = (await peer.received()).filter(({stream, type}) => type === WINDOW_UPDATE && stream === 0)
      expect(updates.length).to.be.greaterThan(0)
    })

    it('counts padding, and gives it back at once', async () => {
      await peer.open(1)
      const padded = Buffer.concat([Buffer.from([255]), Buffer.from('x'), Buffer.alloc(255)])
      await peer.send(...Array.from({length: 500}, () => frame(DATA, Flag.PADDED, 1, padded)))
      expect(peer.last).to.deep.include({data: 'x'.repeat(500), reset: undefined})
    })
  })
})
