import {expect} from 'chai'

import {Life} from '../../helpers/kill/life.js'

describe('a life that ends', () => {
  it('carries out nothing from the chosen request on', async () => {
    const life = new Life(2)
    const done: number[] = []
    const step = async (number: number) => life.step(async () => done.push(number)).catch(() => {})
    await step(1)
    await step(2)
    await step(3)
    expect(done).to.deep.equal([1])
    expect(life.isOver).to.equal(true)
  })

  it('carries out the last request when only its answer is lost', async () => {
    const life = new Life(1, 'after')
    const done: number[] = []
    const outcome = await life
      .step(async () => done.push(1))
      .then(
        () => 'answered',
        () => 'lost',
      )
    expect({done, outcome}).to.deep.equal({done: [1], outcome: 'lost'})
  })
})
