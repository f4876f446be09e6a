import {expect} from 'chai'

import {encodeHeaders} from '../../../../src/plugin/h2/hpack.js'
import {DEFAULT_WINDOW, ErrorCode, Flag, FrameType, PREFACE, Setting} from '../../../../src/plugin/h2/protocol.js'
import {MAX_STREAMS} from '../../../../src/plugin/h2/session.js'
import {cutFrames, frame, GET_BLOCK, H2Peer, settings, settle, u32} from '../../../helpers/h2-peer.js'

const {CONTINUATION, DATA, GOAWAY, HEADERS, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE} =
  FrameType
const {END_HEADERS, END_STREAM, PADDED} = Flag

const TRAILERS = encodeHeaders('none', [['grpc-status', '0']])

describe('HTTP/2 session', () => {
  let peer: H2Peer

  beforeEach(async () => {
    peer = await new H2Peer().begin()
  })

  it('speaks first: settings, and a wide connection window', () => {
    const fresh = new H2Peer()
    const [first, second, ...rest] = cutFrames(Buffer.concat(fresh.sink.chunks))
    expect(first).to.deep.include({flags: 0, stream: 0, type: SETTINGS})
    expect(second).to.deep.include({stream: 0, type: WINDOW_UPDATE})
    expect(second!.payload.readUInt32BE()).to.equal(16 * 1024 * 1024 - DEFAULT_WINDOW)
    expect(rest).to.be.empty
  })

  it('hands over a request with its head, data and end', async () => {
    const seen = await peer.open(1)
    await peer.send(frame(DATA, 0, 1, Buffer.from('hello ')), frame(DATA, END_STREAM, 1, Buffer.from('world')))
    expect(seen.head).to.deep.include({method: 'POST', path: '/store.Store/Get'})
    expect(seen.head.fields.get('content-type')).to.equal('application/grpc')
    expect(seen).to.deep.include({data: 'hello world', ended: true, reset: undefined})
  })

  it('takes the same bytes in pieces of any size', async () => {
    const whole = Buffer.concat([
      PREFACE,
      frame(SETTINGS, 0, 0),
      frame(HEADERS, END_HEADERS, 1, GET_BLOCK),
      frame(DATA, 0, 1, Buffer.alloc(16_384, 'a')),
      frame(PING, 0, 0, Buffer.from('12345678')),
      frame(DATA, END_STREAM, 1, Buffer.from('z')),
    ])
    for (const size of [1, 2, 3, 7, 8, 9, 10, 100, 16_384, 16_393, 20_000]) {
      const other = new H2Peer()
      for (let at = 0; at < whole.length; at += size) other.session.receive(whole.subarray(at, at + size))
      await settle()
      expect(other.error, `pieces of ${size}`).to.equal(undefined)
      expect(other.last.data, `pieces of ${size}`).to.equal(`${'a'.repeat(16_384)}z`)
      expect(other.last.ended).to.equal(true)
    }
  })

  it('answers with headers, data and trailers, in one write', async () => {
    const {stream} = await peer.open(1, true)
    stream.sendHeaders(encodeHeaders(200, []))
    stream.send(Buffer.from('he'), Buffer.from('llo'))
    stream.end(TRAILERS)
    await settle()
    expect(peer.sink.chunks).to.have.length(1)
    const frames = await peer.received()
    expect(frames.map(({flags, type}) => [type, flags])).to.deep.equal([
      [HEADERS, END_HEADERS],
      [DATA, 0],
      [HEADERS, END_HEADERS | END_STREAM],
    ])
    expect(frames[1]!.payload.toString()).to.equal('hello')
    expect(peer.session.active).to.equal(0)
  })

  it('tells a client that still sends that nobody listens, and then ignores what was under way', async () => {
    const {stream} = await peer.open(1)
    stream.end(TRAILERS)
    const frames = await peer.received()
    expect(frames.map(({type}) => type)).to.deep.equal([HEADERS, RST_STREAM])
    expect(frames[1]!.payload.readUInt32BE()).to.equal(ErrorCode.NO_ERROR)
    await peer.send(frame(DATA, 0, 1, Buffer.alloc(100)), frame(DATA, END_STREAM, 1))
    expect(peer.error).to.equal(undefined)
  })

  it('acknowledges settings and pings, and ignores acknowledgements', async () => {
    await peer.send(frame(SETTINGS, 0, 0, settings([Setting.HEADER_TABLE_SIZE, 0], [99, 1])))
    await peer.send(frame(PING, 0, 0, Buffer.from('bdp ping')))
    await peer.send(frame(PING, 1, 0, Buffer.from('bdp ping')), frame(SETTINGS, 1, 0))
    const frames = await peer.received()
    expect(frames.map(({flags, type}) => [type, flags])).to.deep.equal([
      [SETTINGS, 1],
      [PING, 1],
    ])
    expect(frames[1]!.payload.toString()).to.equal('bdp ping')
  })

  it('never says GOAWAY when the client leaves or idles', async () => {
    await peer.open(1, true)
    await peer.send(frame(GOAWAY, 0, 0, Buffer.concat([u32(0), u32(0)])))
    peer.last.stream.end(TRAILERS)
    const frames = await peer.received()
    expect(frames.map(({type}) => type)).to.deep.equal([HEADERS])
    expect(peer.error).to.equal(undefined)
  })

  it('puts a header block together from continuations', async () => {
    await peer.send(
      frame(HEADERS, END_STREAM, 1, GET_BLOCK.subarray(0, 10)),
      frame(CONTINUATION, 0, 1, GET_BLOCK.subarray(10, 11)),
      frame(CONTINUATION, END_HEADERS, 1, GET_BLOCK.subarray(11)),
    )
    expect(peer.last.head.path).to.equal('/store.Store/Get')
    expect(peer.last.ended).to.equal(true)
  })

  it('reads a repeated header block by the table as it is, not as it was', async () => {
    const base = encodeHeaders('none', [
      [':method', 'POST'],
      [':scheme', 'http'],
    ])
    const added = (path: string) => Buffer.concat([base, Buffer.from([0x44, path.length]), Buffer.from(path, 'latin1')])
    // 62 is the newest entry of the table.
    const repeated = Buffer.concat([base, Buffer.from([0xbe])])
    const blocks = [added('/one'), repeated, repeated, added('/two'), repeated, repeated]
    for (const [index, block] of blocks.entries()) {
      await peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 2 * index + 1, block))
    }

    expect(peer.requests.map(({head}) => head.path)).to.deep.equal(['/one', '/one', '/one', '/two', '/two', '/two'])
  })

  it('takes padding and priority', async () => {
    const padded = Buffer.concat([Buffer.from([3]), u32(0), Buffer.from([16]), GET_BLOCK, Buffer.alloc(3)])
    await peer.send(
      frame(HEADERS, END_HEADERS | PADDED | Flag.PRIORITY, 1, padded),
      frame(DATA, END_STREAM | PADDED, 1, Buffer.from('\u0002ok\0\0', 'latin1')),
      frame(PRIORITY, 0, 3, Buffer.alloc(5)),
    )
    expect(peer.error).to.equal(undefined)
    expect(peer.last).to.deep.include({data: 'ok', ended: true})
  })

  it('ignores frames of unknown types', async () => {
    await peer.send(frame(0x77, 0xff, 5, Buffer.alloc(33)))
    expect(peer.error).to.equal(undefined)
  })

  it('ends a stream that the client cancels', async () => {
    const seen = await peer.open(1)
    await peer.send(frame(RST_STREAM, 0, 1, u32(ErrorCode.CANCEL)))
    expect(seen.reset).to.equal('the client cancelled the call')
    expect(seen.stream.closed).to.equal(true)
    seen.stream.sendHeaders(encodeHeaders(200, []))
    seen.stream.send(Buffer.alloc(0), Buffer.alloc(100))
    seen.stream.end(TRAILERS)
    expect(await peer.received()).to.be.empty
    expect(peer.session.active).to.equal(0)
  })

  it('ends every stream when the pipe is gone', async () => {
    const first = await peer.open(1)
    const second = await peer.open(3, true)
    peer.session.close('plakar has closed the pipe')
    expect([first.reset, second.reset]).to.deep.equal(['plakar has closed the pipe', 'plakar has closed the pipe'])
  })

  it('refuses a stream beyond the limit, and goes on', async () => {
    const opens = Array.from({length: MAX_STREAMS + 1}, (_, index) =>
      frame(HEADERS, END_HEADERS | END_STREAM, 2 * index + 1, GET_BLOCK),
    )
    await peer.send(...opens)
    const frames = await peer.received()
    expect(frames).to.have.length(1)
    expect(frames[0]).to.deep.include({stream: 2 * MAX_STREAMS + 1, type: RST_STREAM})
    expect(frames[0]!.payload.readUInt32BE()).to.equal(ErrorCode.REFUSED_STREAM)
    peer.requests[0]!.stream.end(TRAILERS)
    await peer.open(2 * MAX_STREAMS + 3)
    expect(peer.error).to.equal(undefined)
    expect(peer.session.active).to.equal(MAX_STREAMS)
  })

  describe('requests that are none', () => {
    const base: [string, string][] = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', '/x'],
    ]
    const bad: [string, [string, string][]][] = [
      ['no path', base.slice(0, 2)],
      ['an empty path', [...base.slice(0, 2), [':path', '']]],
      ['a pseudo field twice', [...base, [':path', '/y']]],
      ['an unknown pseudo field', [...base, [':status', '200']]],
      ['a pseudo field after others', [base[0]!, base[1]!, ['te', 'trailers'], base[2]!]],
      ['upper case', [...base, ['Content-Type', 'x']]],
      ['an empty name', [...base, ['', 'x']]],
      ['a line feed in a value', [...base, ['x', 'a\nb']]],
      ['a connection field', [...base, ['connection', 'close']]],
      ['a wrong te', [...base, ['te', 'gzip']]],
    ]
    for (const [what, fields] of bad) {
      it(`resets a stream with ${what}, and goes on`, async () => {
        await peer.send(frame(HEADERS, END_HEADERS, 1, encodeHeaders('none', fields)))
        const [reset] = await peer.received()
        expect(reset).to.deep.include({stream: 1, type: RST_STREAM})
        expect(reset!.payload.readUInt32BE()).to.equal(ErrorCode.PROTOCOL_ERROR)
        expect(peer.requests).to.be.empty
        await peer.open(3)
        expect(peer.error).to.equal(undefined)
      })
    }

    it('resets a stream whose fields are too many, and keeps the compression state', async () => {
      const many = Array.from({length: 400}, (): [string, string] => ['x-filler', 'y'.repeat(20)])
      // The last field goes into the table: the next request uses it.
      const block = Buffer.concat([
        encodeHeaders('none', [...base, ...many]),
        Buffer.from('400161', 'hex'),
        Buffer.from('0162', 'hex'),
      ])
      await peer.send(frame(HEADERS, END_HEADERS, 1, block))
      const [reset] = await peer.received()
      expect(reset!.payload.readUInt32BE()).to.equal(ErrorCode.ENHANCE_YOUR_CALM)
      await peer.send(frame(HEADERS, END_HEADERS, 3, Buffer.concat([encodeHeaders('none', base), Buffer.from([0xbe])])))
      expect(peer.last.head.fields.get('a')).to.equal('b')
    })

    it('resets a stream with wrong trailers, and takes sound ones', async () => {
      await peer.open(1)
      await peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, encodeHeaders('none', [[':path', '/x']])))
      expect(peer.last.reset).to.match(/wrong trailers/)
      await peer.open(3)
      await peer.send(frame(HEADERS, END_HEADERS, 3, TRAILERS))
      expect(peer.last.reset).to.match(/wrong trailers/)
      await peer.open(5)
      await peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 5, TRAILERS))
      expect(peer.last).to.deep.include({ended: true, reset: undefined})
    })
  })

  describe('breaches that end the connection', () => {
    const {COMPRESSION_ERROR, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, STREAM_CLOSED} =
      ErrorCode
    const open = frame(HEADERS, END_HEADERS, 1, GET_BLOCK)
    const done = frame(HEADERS, END_HEADERS | END_STREAM, 1, GET_BLOCK)
    const breaches: [string, number, Buffer[]][] = [
      ['a frame that is too large', FRAME_SIZE_ERROR, [frame(DATA, 0, 1, Buffer.alloc(16_385))]],
      ['data on the connection', PROTOCOL_ERROR, [frame(DATA, 0, 0, [1])]],
      ['data on a stream that was never opened', PROTOCOL_ERROR, [frame(DATA, 0, 3, [1])]],
      ['padding longer than its frame', PROTOCOL_ERROR, [open, frame(DATA, PADDED, 1, [2, 0])]],
      ['padding in an empty frame', PROTOCOL_ERROR, [open, frame(DATA, PADDED, 1)]],
      ['headers on stream 0', PROTOCOL_ERROR, [frame(HEADERS, END_HEADERS, 0, GET_BLOCK)]],
      ['headers on an even stream', PROTOCOL_ERROR, [frame(HEADERS, END_HEADERS, 2, GET_BLOCK)]],
      ['headers cut by their priority', PROTOCOL_ERROR, [frame(HEADERS, END_HEADERS | Flag.PRIORITY, 1, [0, 0])]],
      [
        'a stream that goes back',
        STREAM_CLOSED,
        [frame(HEADERS, END_HEADERS, 5, GET_BLOCK), frame(HEADERS, END_HEADERS, 3, GET_BLOCK)],
      ],
      [
        'a frame inside a header block',
        PROTOCOL_ERROR,
        [frame(HEADERS, 0, 1, GET_BLOCK), frame(PING, 0, 0, Buffer.alloc(8))],
      ],
      [
        'a continuation of another stream',
        PROTOCOL_ERROR,
        [frame(HEADERS, 0, 1, GET_BLOCK), frame(CONTINUATION, END_HEADERS, 3)],
      ],
      ['a continuation of nothing', PROTOCOL_ERROR, [frame(CONTINUATION, END_HEADERS, 1)]],
      [
        'continuations without end',
        ENHANCE_YOUR_CALM,
        [frame(HEADERS, 0, 1, GET_BLOCK), ...Array.from({length: 20}, () => frame(CONTINUATION, 0, 1))],
      ],
      [
        'a huge header block',
        ENHANCE_YOUR_CALM,
        [
          frame(HEADERS, 0, 1, Buffer.alloc(16_000)),
          frame(CONTINUATION, 0, 1, Buffer.alloc(16_000)),
          frame(CONTINUATION, 0, 1, Buffer.alloc(16_000)),
        ],
      ],
      ['a corrupt header block', COMPRESSION_ERROR, [frame(HEADERS, END_HEADERS, 1, [0xff])]],
      ['settings on a stream', PROTOCOL_ERROR, [frame(SETTINGS, 0, 1)]],
      ['settings of the wrong size', FRAME_SIZE_ERROR, [frame(SETTINGS, 0, 0, [0, 0, 0])]],
      ['an acknowledgement with settings', FRAME_SIZE_ERROR, [frame(SETTINGS, 1, 0, settings([4, 1]))]],
      ['a wrong push setting', PROTOCOL_ERROR, [frame(SETTINGS, 0, 0, settings([Setting.ENABLE_PUSH, 2]))]],
      ['a wrong frame size setting', PROTOCOL_ERROR, [frame(SETTINGS, 0, 0, settings([Setting.MAX_FRAME_SIZE, 100]))]],
      [
        'a wrong window setting',
        FLOW_CONTROL_ERROR,
        [frame(SETTINGS, 0, 0, settings([Setting.INITIAL_WINDOW_SIZE, 0x80_00_00_00]))],
      ],
      [
        'a window setting that overflows a stream',
        FLOW_CONTROL_ERROR,
        [
          open,
          frame(WINDOW_UPDATE, 0, 1, u32(0x7f_ff_00_00)),
          frame(SETTINGS, 0, 0, settings([Setting.INITIAL_WINDOW_SIZE, 0x7f_ff_ff_ff])),
        ],
      ],
      ['a ping on a stream', PROTOCOL_ERROR, [frame(PING, 0, 1, Buffer.alloc(8))]],
      ['a ping of the wrong size', FRAME_SIZE_ERROR, [frame(PING, 0, 0, Buffer.alloc(7))]],
      ['a GOAWAY on a stream', PROTOCOL_ERROR, [frame(GOAWAY, 0, 1, Buffer.alloc(8))]],
      ['a short GOAWAY', FRAME_SIZE_ERROR, [frame(GOAWAY, 0, 0, Buffer.alloc(7))]],
      ['a priority on the connection', PROTOCOL_ERROR, [frame(PRIORITY, 0, 0, Buffer.alloc(5))]],
      ['a push promise', PROTOCOL_ERROR, [frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.alloc(8))]],
      ['a reset of the connection', PROTOCOL_ERROR, [frame(RST_STREAM, 0, 0, u32(0))]],
      ['a reset of a stream that was never opened', PROTOCOL_ERROR, [frame(RST_STREAM, 0, 9, u32(0))]],
      ['a reset of the wrong size', FRAME_SIZE_ERROR, [open, frame(RST_STREAM, 0, 1, [0])]],
      ['a window update of nothing', PROTOCOL_ERROR, [frame(WINDOW_UPDATE, 0, 0, u32(0))]],
      ['a window update of the wrong size', FRAME_SIZE_ERROR, [frame(WINDOW_UPDATE, 0, 0, [1])]],
      ['a window update on a stream that was never opened', PROTOCOL_ERROR, [frame(WINDOW_UPDATE, 0, 1, u32(1))]],
      ['a connection window that overflows', FLOW_CONTROL_ERROR, [frame(WINDOW_UPDATE, 0, 0, u32(0x7f_ff_ff_ff))]],
    ]
    for (const [what, code, frames] of breaches) {
      it(`${what}`, async () => {
        await peer.send(...frames)
        const goAway = (await peer.received()).at(-1)
        expect(goAway).to.deep.include({stream: 0, type: GOAWAY})
        expect(goAway!.payload.readUInt32BE(4)).to.equal(code)
        expect(goAway!.payload.subarray(8).toString()).to.equal(peer.error?.message)
        expect(peer.session.active).to.equal(0)
        // Nothing that comes later matters any more.
        await peer.send(frame(PING, 0, 0, Buffer.alloc(8)))
        expect(await peer.received()).to.be.empty
      })
    }

    it('data after the end of a request, when the answer is out', async () => {
      await peer.send(done)
      peer.last.stream.end(TRAILERS)
      await peer.received()
      await peer.send(frame(DATA, 0, 1, [1]))
      expect(peer.error?.code).to.equal(STREAM_CLOSED)
    })

    it('a wrong preface', () => {
      const other = new H2Peer()
      other.session.receive(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
      expect(other.error?.code).to.equal(PROTOCOL_ERROR)
    })

    it('a beginning without settings', async () => {
      for (const first of [frame(PING, 0, 0, Buffer.alloc(8)), frame(SETTINGS, 1, 0)]) {
        const other = new H2Peer()
        other.session.receive(PREFACE)
        await other.send(first)
        expect(other.error?.code).to.equal(PROTOCOL_ERROR)
      }
    })

    it('pings faster than it reads the answers', async () => {
      peer.sink.blocked = true
      const pings = Buffer.concat(Array.from({length: 1000}, () => frame(PING, 0, 0, Buffer.alloc(8))))
      for (let sent = 0; sent < 1000 && !peer.error; sent++) peer.session.receive(pings)
      expect(peer.error?.code).to.equal(ENHANCE_YOUR_CALM)
    })
  })

  it('resets a stream that sends on after its end, before the answer is out', async () => {
    await peer.open(1, true)
    await peer.send(frame(DATA, 0, 1, [1]))
    const [reset] = await peer.received()
    expect(reset).to.deep.include({stream: 1, type: RST_STREAM})
    expect(reset!.payload.readUInt32BE()).to.equal(ErrorCode.STREAM_CLOSED)
    expect(peer.last.reset).to.match(/after the end/)
    expect(peer.error).to.equal(undefined)
  })

  it('turns a fault of its own into an error of the connection', async () => {
    const faulty = new H2Peer(() => {
      throw new Error('a fault')
    })
    await faulty.begin()
    await faulty.send(frame(HEADERS, END_HEADERS, 1, GET_BLOCK))
    expect(faulty.error).to.deep.include({code: ErrorCode.INTERNAL_ERROR, message: 'a fault'})
  })
})
