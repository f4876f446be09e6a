import type {Readable} from 'node:stream'

import {buffer} from 'node:stream/consumers'
import {setImmediate as turn} from 'node:timers/promises'

import {drain} from '../../src/util/drain.js'

/** Ways to read a stream to its end, which must all come to the same bytes. */
export const READERS: Readonly<Record<string, (stream: Readable) => Promise<Buffer>>> = {
  async 'drained at once'(stream) {
    const pieces: Buffer[] = []
    await drain(stream, (piece) => {
      pieces.push(Buffer.from(piece))
    })
    return Buffer.concat(pieces)
  },

  /** What a sink holds must stay as it is until it is done; only then is it copied. */
  async 'drained slowly'(stream) {
    const pieces: Buffer[] = []
    let atWork = 0
    await drain(stream, async (piece) => {
      atWork += 1
      for (let turns = 0; turns < 3; turns++) await turn()
      if (atWork !== 1) throw new Error('a piece came before the last one was done with')
      pieces.push(Buffer.from(piece))
      atWork -= 1
    })
    return Buffer.concat(pieces)
  },

  read: async (stream) => buffer(stream),
}
