import {expect} from 'chai'
import {setImmediate as turn} from 'node:timers/promises'

import {ByteBudget} from '../../../src/util/byte-budget.js'

describe('a budget of bytes', () => {
  it('lends what is there, and lets others wait for what is given back, in their order', async () => {
    const budget = new ByteBudget(10)
    const lent: string[] = []
    const take = async (name: string, bytes: number) => {
      await budget.take(bytes)
      lent.push(name)
    }

    const all = [take('a', 6), take('b', 6), take('c', 1)]
    await turn()
    // There is room for c, and it came later.
    expect(lent).to.deep.equal(['a'])
    budget.release(6)
    await Promise.all(all)
    expect(lent).to.deep.equal(['a', 'b', 'c'])
  })

  it('lends all of it to what is larger, and to nobody else then', async () => {
    const budget = new ByteBudget(10)
    await budget.take(1000)
    let isLent = false
    const small = budget.take(1).then(() => {
      isLent = true
    })
    await turn()
    expect(isLent).to.equal(false)
    budget.release(1000)
    await small
    budget.release(1)
    await budget.take(10)
  })

  it('gets back what was lent to something that failed', async () => {
    const budget = new ByteBudget(10)
    const failing = budget.spend(10, async () => {
      throw new Error('no')
    })
    expect(await failing.catch((error: Error) => error.message)).to.equal('no')
    expect(await budget.spend(10, async () => 'yes')).to.equal('yes')
  })

  it('lends no more than whoever is asked wants, and something to the first in any case', async () => {
    const seen: number[] = []
    const budget = new ByteBudget(10, {
      mayLend({bytes, loans}) {
        seen.push(bytes)
        return loans < 2
      },
    })
    let lent = 0
    const all = [1, 2, 3, 4].map(async (bytes) => {
      await budget.take(bytes)
      lent += 1
    })
    await turn()
    expect(lent).to.equal(2)
    budget.release(1)
    await turn()
    expect(lent).to.equal(3)
    budget.release(2)
    await Promise.all(all)
    // Not before the first, and with what is lent at the time.
    expect(seen).to.deep.equal([1, 3, 2, 5, 3])
  })
})
