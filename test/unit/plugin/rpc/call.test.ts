import {expect} from 'chai'
import {randomBytes} from 'node:crypto'

import type {Handler} from '../../../../src/plugin/rpc/call.js'

import {ErrorCode, Flag, FrameType} from '../../../../src/plugin/h2/protocol.js'
import {EMPTY_MESSAGE} from '../../../../src/plugin/messages.js'
import {RpcServer} from '../../../../src/plugin/rpc/server.js'
import {RpcError, Status} from '../../../../src/plugin/rpc/status.js'
import {frame, GET_BLOCK, H2Peer, settle, u32} from '../../../helpers/h2-peer.js'

const {DATA, HEADERS, RST_STREAM, WINDOW_UPDATE} = FrameType

/** A message with its prefix. */
function message(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0]), u32(bytes.length), bytes])
}

function dataFrames(stream: number, bytes: Buffer): Buffer[] {
  const frames: Buffer[] = []
  for (let at = 0; at < bytes.length; at += 16_384) frames.push(frame(DATA, 0, stream, bytes.subarray(at, at + 16_384)))
  return frames
}

async function serve(handler: Handler): Promise<H2Peer> {
  const server = new RpcServer({
    mapError: (error) => new RpcError(Status.UNKNOWN, String(error)),
    methods: new Map([['/store.Store/Get', handler]]),
  })
  const peer = await new H2Peer((stream, head) => server.request(stream, head)).begin()
  await peer.send(frame(HEADERS, Flag.END_HEADERS, 1, GET_BLOCK))
  return peer
}

describe('call that is asked with many messages', () => {
  it('rejects the waiting handler when the client resets the stream', async () => {
    const seen: string[] = []
    const peer = await serve({
      async handle(call) {
        await call.next()
        try {
          await call.next()
        } catch (error) {
          seen.push((error as RpcError).message)
        }

        expect(call.signal.aborted).to.equal(true)
        seen.push('over')
        return EMPTY_MESSAGE
      },
      kind: 'receiving',
    })
    await peer.send(frame(DATA, 0, 1, message(Buffer.from('first'))))
    await peer.send(frame(RST_STREAM, 0, 1, u32(ErrorCode.CANCEL)))
    expect(seen).to.deep.equal(['the client cancelled the call', 'over'])
    expect(await peer.received()).to.be.empty
  })

  it('does not take a request for whole that was ended and reset in one breath', async () => {
    const seen: unknown[] = []
    const peer = await serve({
      async handle(call) {
        try {
          seen.push(await call.next(), await call.next())
        } catch (error) {
          seen.push((error as RpcError).message)
        }

        return EMPTY_MESSAGE
      },
      kind: 'receiving',
    })
    await peer.send(frame(DATA, 0, 1, message(Buffer.from('half'))))
    await peer.send(frame(DATA, Flag.END_STREAM, 1), frame(RST_STREAM, 0, 1, u32(ErrorCode.CANCEL)))
    expect(seen).to.deep.equal(['the call is over'])
  })

  it('gives the client no room while a message waits, and all of it back when it is taken', async () => {
    let take!: () => void
    let gate = new Promise<void>((resolve) => {
      take = resolve
    })
    const peer = await serve({
      async handle(call) {
        for (;;) {
          await gate
          if (!(await call.next())) return EMPTY_MESSAGE
        }
      },
      kind: 'receiving',
    })
    await peer.send(...dataFrames(1, message(Buffer.alloc(20_000))))
    const early = (await peer.received()).filter(({stream, type}) => type === WINDOW_UPDATE && stream === 1)
    expect(early.reduce((sum, {payload}) => sum + payload.readUInt32BE(), 0)).to.be.lessThan(20_005)
    await peer.send(...dataFrames(1, message(Buffer.alloc(40_000))))
    expect((await peer.received()).filter(({type}) => type === WINDOW_UPDATE)).to.be.empty
    take()
    gate = Promise.resolve()
    await settle()
    await settle()
    const late = (await peer.received()).filter(({stream, type}) => type === WINDOW_UPDATE && stream === 1)
    const returned = [...early, ...late].reduce((sum, {payload}) => sum + payload.readUInt32BE(), 0)
    expect(returned).to.equal(60_010)
  })

  it('uses the memory of messages again, and of none that still waits', async () => {
    const sent = [9000, 5000, 12_000, 4096, 300, 9000, 8999, 5000, 7000].map((size) => randomBytes(size))
    const memory = new Set<ArrayBufferLike>()
    const seen: boolean[] = []
    let open!: () => void
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const peer = await serve({
      async handle(call) {
        for (let message = await call.next(); message; message = await call.next()) {
          // Others come meanwhile.
          if (seen.length < 2) await gate
          if (message.length >= 4096) memory.add(message.buffer)
          seen.push(sent[seen.length]!.equals(message))
        }

        return EMPTY_MESSAGE
      },
      kind: 'receiving',
    })
    for (const bytes of sent.slice(0, 4)) await peer.send(...dataFrames(1, message(bytes)))
    open()
    await settle()
    for (const bytes of sent.slice(4)) {
      await peer.send(...dataFrames(1, message(bytes)))
      await settle()
    }

    expect(seen).to.deep.equal(sent.map(() => true))
    expect(memory.size).to.equal(4)
  })

  it('fails when the request ends inside a message', async () => {
    const seen: string[] = []
    const peer = await serve({
      async handle(call) {
        await call.next().catch((error: Error) => seen.push(error.message))
        return EMPTY_MESSAGE
      },
      kind: 'receiving',
    })
    await peer.send(frame(DATA, Flag.END_STREAM, 1, message(Buffer.from('cut')).subarray(0, 6)))
    expect(seen).to.deep.equal(['the request ended inside a message'])
    const trailers = (await peer.received()).at(-1)
    expect(trailers!.payload.toString('latin1')).to.include('ended inside a message')
  })

  it('starts before the first message', async () => {
    let started = false
    await serve({
      async handle() {
        started = true
        return EMPTY_MESSAGE
      },
      kind: 'receiving',
    })
    expect(started).to.equal(true)
  })
})
