import {expect} from 'chai'

import {TagOrder} from '../../../../src/registry/remote/tag-order.js'
import {failureIn} from '../../../helpers/failure.js'
import {random} from '../../../helpers/random.js'

const NAMES = Array.from({length: 20_000}, (_, index) => `packfiles-${String(index).padStart(6, '0')}`)

function pages(names: readonly string[], size: number): string[][] {
  return Array.from({length: Math.ceil(names.length / size)}, (_, page) => names.slice(page * size, (page + 1) * size))
}

function shuffled(names: readonly string[], seed: number): string[] {
  const next = random(seed)
  const all = [...names]
  for (let left = all.length - 1; left > 0; left--) {
    const other = Math.floor(next() * (left + 1))
    ;[all[left], all[other]] = [all[other]!, all[left]!]
  }

  return all
}

describe('order of tags', () => {
  it('gives a sorted list as it comes', () => {
    const order = new TagOrder('tags')
    expect(pages(NAMES, 1000).flatMap((page) => order.take(page))).to.deep.equal(NAMES)
    expect(order.total).to.equal(NAMES.length)
  })

  it('leaves out what pages have in common', () => {
    const order = new TagOrder('tags')
    const overlapping = Array.from({length: 100}, (_, page) =>
      NAMES.slice(Math.max(0, page * 200 - 3), (page + 1) * 200),
    )
    expect(overlapping.flatMap((page) => order.take(page))).to.deep.equal(NAMES)
  })

  it('leaves out what stands twice on one page', () => {
    const order = new TagOrder('tags')
    expect(order.take(['a', 'a', 'b', 'b'])).to.deep.equal(['a', 'b'])
    expect(order.take(['b', 'c'])).to.deep.equal(['c'])
  })

  it('gives an unsorted list as it comes, each name once', () => {
    const names = shuffled(NAMES, 1)
    const order = new TagOrder('tags')
    const overlapping = Array.from({length: 100}, (_, page) =>
      names.slice(Math.max(0, page * 200 - 50), (page + 1) * 200),
    )
    expect(overlapping.flatMap((page) => order.take(page))).to.deep.equal(names)
    // And again from the start: nothing is new.
    order.restart()
    expect(pages(names, 1000).flatMap((page) => order.take(page))).to.deep.equal([])
  })

  it('takes a list that turns out unsorted on a later page', () => {
    const order = new TagOrder('tags')
    expect(order.take(['b', 'c'])).to.deep.equal(['b', 'c'])
    expect(order.take(['a', 'd', 'c'])).to.deep.equal(['a', 'd'])
    expect(order.take(['b', 'e'])).to.deep.equal(['e'])
  })

  it('knows lists sorted without regard to case', () => {
    const names = NAMES.map((name, index) => (index % 3 === 0 ? name.toUpperCase() : name))
    const order = new TagOrder('tags')
    expect(pages(names, 1000).flatMap((page) => order.take(page))).to.deep.equal(names)
    order.restart()
    expect(pages(names, 1000).flatMap((page) => order.take(page))).to.deep.equal([])
  })

  it('goes on behind the last name after a restart, whatever has gone before it', () => {
    const order = new TagOrder('tags')
    const given = pages(NAMES.slice(0, 12_000), 1000).flatMap((page) => order.take(page))
    order.restart()
    const second = NAMES.filter((_, index) => index % 7 !== 0 && index !== 11_999)
    given.push(...pages(second, 1000).flatMap((page) => order.take(page)))
    const expected = [...NAMES.slice(0, 12_000), ...second.filter((name) => name > NAMES[11_999]!)]
    expect(given).to.deep.equal(expected)
  })

  it('refuses a list that is sorted for long and then is not', () => {
    const order = new TagOrder('tags')
    for (const page of pages(NAMES.slice(0, 10_000), 1000)) order.take(page)
    expect(failureIn(() => order.take([NAMES[12_000]!, NAMES[11_000]!])).code).to.equal('PROTOCOL')
    expect(failureIn(() => order.take([NAMES[3]!])).code).to.equal('PROTOCOL')
  })
})
