import {expect} from 'chai'
import {PassThrough} from 'node:stream'
import {setImmediate as turn} from 'node:timers/promises'

import {abortable} from '../../../src/util/abort.js'
import {failureOf} from '../../helpers/failure.js'
import {READERS} from '../../helpers/readers.js'

describe('a stream that a signal ends', () => {
  for (const [way, read] of Object.entries(READERS)) {
    it(`tells who reads it only afterwards, ${way}`, async () => {
      const controller = new AbortController()
      const stream = abortable(new PassThrough(), controller.signal)
      controller.abort(new Error('enough'))
      // Without a reader its error would end the process.
      for (let turns = 0; turns < 3; turns++) await turn()
      expect((await failureOf(read(stream))).code).to.equal('INTERRUPTED')
    })

    it(`tells who is reading it, ${way}`, async () => {
      const controller = new AbortController()
      const source = new PassThrough()
      const failed = failureOf(read(abortable(source, controller.signal)))
      source.write('a')
      await turn()
      controller.abort(new Error('enough'))
      expect((await failed).code).to.equal('INTERRUPTED')
    })
  }
})
