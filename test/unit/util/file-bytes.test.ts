import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {writeFileSync} from 'node:fs'
import {open} from 'node:fs/promises'
import {join} from 'node:path'
import {setImmediate as turn} from 'node:timers/promises'

import {fileSource} from '../../../src/util/content-source.js'
import {FileBytes} from '../../../src/util/file-bytes.js'
import {failureOf} from '../../helpers/failure.js'
import {scratchDir} from '../../helpers/hooks.js'
import {READERS} from '../../helpers/readers.js'

const BYTES = randomBytes(2_500_000)

function file(): string {
  const path = join(scratchDir('drain'), 'file')
  writeFileSync(path, BYTES)
  return path
}

function shortened(position: number): Error {
  return new Error(`ends at ${position}`)
}

describe('the bytes of a file', () => {
  it('are those of a range, and leave a shared file open', async () => {
    const handle = await open(file(), 'r')
    for (const [way, read] of Object.entries(READERS)) {
      for (const [start, end] of [
        [0, 1],
        [600_000, 2_000_000],
        [BYTES.length - 1, BYTES.length],
        [5, 5],
      ] as const) {
        const got = await read(new FileBytes({end, file: handle, isShared: true, start}))
        expect(BYTES.subarray(start, end).equals(got), `${way} ${start}-${end}`).to.equal(true)
      }
    }

    expect((await handle.stat()).size).to.equal(BYTES.length)
    await handle.close()
  })

  it('end with the error for a file that is too short', async () => {
    for (const read of Object.values(READERS)) {
      const stream = new FileBytes({end: BYTES.length + 1, file: async () => open(file(), 'r'), shortened})
      expect((await failureOf(read(stream))).message).to.equal(`ends at ${BYTES.length}`)
    }
  })

  it('end with the error of a file that cannot be opened', async () => {
    for (const read of Object.values(READERS)) {
      const error = await failureOf(read(fileSource(join(scratchDir('drain'), 'none'), 1).open()))
      expect(String(error.code)).to.equal('ENOENT')
    }
  })

  it('close their file when nobody reads them', async () => {
    const handle = await open(file(), 'r')
    const stream = new FileBytes({file: handle})
    stream.destroy()
    await turn()
    await turn()
    expect(handle.fd).to.equal(-1)
  })
})
