import {expect} from 'chai'
import {setImmediate as turn} from 'node:timers/promises'

import {ReadAhead} from '../../../../src/checker/verify/read-ahead.js'

const MIB = 1024 * 1024

/** Packfiles that are begun, each until it is told to end. */
class Packfiles {
  begun = 0
  busyShare = 1
  readonly judges = {threads: 2, waiting: 1}
  readonly #ahead = new ReadAhead(this.judges, {busyShare: () => this.busyShare})
  readonly #ends: (() => void)[] = []
  readonly #runs: Promise<void>[] = []

  async add(count: number, bytes: number): Promise<void> {
    for (let number = 0; number < count; number++) {
      const run = this.#ahead.spend(bytes, async () => {
        this.begun += 1
        await new Promise<void>((resolve) => {
          this.#ends.push(resolve)
        })
      })
      this.#runs.push(run)
    }

    await turn()
  }

  async end(): Promise<void> {
    while (this.#ends.length > 0) await this.endOne()
    await Promise.all(this.#runs)
  }

  async endOne(): Promise<void> {
    this.#ends.shift()!()
    await turn()
  }
}

describe('packfiles read ahead of the judges', () => {
  let packfiles: Packfiles

  beforeEach(() => {
    packfiles = new Packfiles()
  })

  afterEach(() => packfiles.end())

  it('are as many small ones as there are', async () => {
    await packfiles.add(40, MIB)
    expect(packfiles.begun).to.equal(40)
  })

  it('are few large ones while others wait to be judged', async () => {
    await packfiles.add(12, 20 * MIB)
    // One for each judge, and one more.
    expect(packfiles.begun).to.equal(3)
    await packfiles.endOne()
    expect(packfiles.begun).to.equal(4)
  })

  it('are some more when judges wait for them, and fewer again when they do not', async () => {
    await packfiles.add(30, 20 * MIB)
    packfiles.judges.waiting = 0
    for (let ended = 1; ended <= 2; ended++) {
      await packfiles.endOne()
      expect(packfiles.begun).to.equal(3 + 2 * ended)
    }

    // No more than two more.
    await packfiles.endOne()
    expect(packfiles.begun).to.equal(8)
    packfiles.judges.waiting = 3
    await packfiles.endOne()
    expect(packfiles.begun).to.equal(8)
  })

  it('are many while there is nothing to do but to wait for them', async () => {
    packfiles.judges.waiting = 0
    packfiles.busyShare = 0.2
    await packfiles.add(60, 12 * MIB)
    expect(packfiles.begun).to.equal(4)
    for (let ended = 1; ended <= 12; ended++) await packfiles.endOne()
    // Fifteen under way.
    expect(packfiles.begun).to.equal(12 + 15)
    await packfiles.endOne()
    expect(packfiles.begun).to.equal(13 + 15)
    packfiles.busyShare = 1
    for (let ended = 1; ended <= 10; ended++) await packfiles.endOne()
    // Five under way.
    expect(packfiles.begun).to.equal(13 + 15)
    await packfiles.endOne()
    expect(packfiles.begun).to.equal(13 + 16)
  })

  it('never have more bytes in memory than there is room for, and one that has is alone', async () => {
    packfiles.judges.waiting = 0
    await packfiles.add(8, 64 * MIB)
    expect(packfiles.begun).to.equal(3)
    for (let ended = 1; ended <= 5; ended++) {
      await packfiles.endOne()
      expect(packfiles.begun).to.equal(3 + ended)
    }

    await packfiles.end()
    await packfiles.add(2, 1000 * MIB)
    expect(packfiles.begun).to.equal(9)
  })
})
