import {expect} from 'chai'

import type {Mac} from '../../../../src/kloset/mac.js'

import {StoreFormatError} from '../../../../src/errors.js'
import {BLOB_TYPES} from '../../../../src/kloset/blob-type.js'
import {type BrokenNode, compareBytes, comparePaths, Tree} from '../../../../src/kloset/snapshot/index.js'
import {failureOf} from '../../../helpers/failure.js'
import {seeded} from '../../../helpers/random.js'
import {BlobBox, bytesOf} from './trees.js'

const {vfsBtree: rootType, vfsNode: nodeType} = BLOB_TYPES
const FILES = {compare: comparePaths, nodeType, rootType}
/** Letters that bytes sort otherwise than units do. */
const LETTERS = [...'abcdé😀～']
const valueOf = (index: number) => index.toString(16).padStart(64, '1') as Mac

/** Paths in folders of folders, enough for several levels of nodes. */
function paths(count: number): Map<string, Mac> {
  const random = seeded(count)
  const all = new Map<string, Mac>([['/', valueOf(0)]])
  while (all.size < count) {
    const depth = 1 + random.below(4)
    const parts = Array.from({length: depth}, () => LETTERS[random.below(LETTERS.length)]! + String(random.below(30)))
    all.set(`/${parts.join('/')}`, valueOf(all.size))
  }

  return all
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('tree', function () {
  let box: BlobBox
  const open = (root: Mac, options = FILES) => Tree.open(box.read, {...options, root})
  const node = (keys: string[], below: {pointers?: Mac[]; values?: Mac[]}, mac?: Mac) =>
    box.put(
      nodeType,
      {keys, pointers: below.pointers?.map((one) => bytesOf(one)), values: below.values?.map((one) => bytesOf(one))},
      mac,
    )
  const root = (of: Mac) => box.put(rootType, {Count: 0, Order: 50, Root: bytesOf(of), Version: 0})

  beforeEach(function () {
    box = new BlobBox()
  })

  for (const count of [1, 4, 5, 30, 1000]) {
    it(`finds and lists ${count} paths`, async function () {
      const all = paths(count)
      const tree = await open(box.tree(all, FILES))
      for (const [path, value] of all) expect(await tree.find(path), path).to.equal(value)
      for (const path of ['', '/zz', '/a0/none', '/a', '/～']) {
        if (!all.has(path)) expect(await tree.find(path), path).to.equal(undefined)
      }

      const sorted = [...all.keys()].sort(comparePaths)
      expect((await collect(tree.entries())).map(({key}) => key)).to.deep.equal(sorted)
      for (const from of [...sorted.filter((_, index) => index % 17 === 0), '/zzz', '', '/a/a/a/a/a/a']) {
        const expected = sorted.filter((key) => comparePaths(key, from) >= 0)
        expect(
          (await collect(tree.entries(from))).map(({key}) => key),
          from,
        ).to.deep.equal(expected)
      }

      const keys = (await collect(tree.nodes())).flatMap(({node: {keys: own, values}}) =>
        values.length > 0 ? own : [],
      )
      expect(keys).to.deep.equal(sorted)
    })
  }

  it('lists nothing of an empty tree', async function () {
    const tree = await open(box.tree(new Map(), FILES))
    expect(await collect(tree.entries())).to.deep.equal([])
    expect(await tree.find('/')).to.equal(undefined)
    expect((await collect(tree.nodes())).length).to.equal(1)
  })

  it('reads few nodes to find one path', async function () {
    const all = paths(1000)
    const tree = await open(box.tree(all, {...FILES, order: 50}))
    box.reads.clear()
    await tree.find([...all.keys()][500]!)
    expect(box.reads.size).to.be.at.most(3)
    box.reads.clear()
    await tree.find([...all.keys()][500]!)
    expect(box.reads.size).to.equal(0)
  })

  it('refuses nodes whose counts do not fit, or whose keys are not in order', async function () {
    const [a, b] = [valueOf(1), valueOf(2)]
    for (const bad of [
      node(['/a'], {}),
      node(['/a'], {values: [a, b]}),
      node([], {values: [a]}),
      node(['/a'], {pointers: [a]}),
      node(['/a'], {pointers: [a, b], values: [a]}),
      node(['/b', '/a'], {values: [a, b]}),
      node(['/a', '/a'], {values: [a, b]}),
      node(['/a/a', '/b'], {values: [a, b]}),
    ]) {
      const tree = await open(root(bad))
      expect(await failureOf(tree.find('/a'))).to.be.instanceOf(StoreFormatError)
      expect(await failureOf(collect(tree.entries()))).to.be.instanceOf(StoreFormatError)
    }

    expect(await failureOf(open(box.put(rootType, {Order: 50})))).to.be.instanceOf(StoreFormatError)
  })

  it('ends on nodes that lead back to themselves, or fan out to the same ones again and again', async function () {
    const loop = valueOf(7)
    node([], {pointers: [loop]}, loop)
    const ring = await open(root(loop))
    for (const walk of [ring.find('/a'), collect(ring.entries()), collect(ring.nodes())]) {
      expect((await failureOf(walk)).message).to.contain('deep')
    }

    // 40 levels of which each points twice to the next would be 2^40 leaves.
    let below = node(['/m'], {values: [valueOf(1)]})
    for (let level = 0; level < 40; level++) below = node(['/m'], {pointers: [below, below]})
    const fan = await open(root(below))
    for (const walk of [collect(fan.entries()), collect(fan.nodes())]) {
      expect((await failureOf(walk)).message).to.contain('not in order')
    }

    // The same without any leaf to tell.
    let hollow = node([], {})
    for (let level = 0; level < 40; level++) hollow = node(['/m'], {pointers: [hollow, hollow]})
    const empty = await open(root(hollow))
    expect(await failureOf(collect(empty.nodes()))).to.be.instanceOf(StoreFormatError)
    expect(await failureOf(collect(empty.entries()))).to.be.instanceOf(StoreFormatError)
  })

  it('goes on beside a node that is gone, and says between which keys it lay', async function () {
    const all = paths(200)
    const top = box.tree(all, FILES)
    const tree = await open(top)
    const nodes = await collect(tree.nodes())
    const sorted = [...all.keys()].sort(comparePaths)
    const leaves = nodes.filter(({node: {values}}) => values.length > 0)
    const gone = leaves[10]!
    box.remove(nodeType, gone.mac)
    const broken: BrokenNode[] = []
    const left = await collect((await open(top)).nodes((one) => broken.push(one)))
    const keys = left.flatMap(({node: {keys: own, values}}) => (values.length > 0 ? own : []))
    expect(keys).to.deep.equal(sorted.filter((key) => !gone.node.keys.includes(key)))
    expect(broken.length).to.equal(1)
    const {before, error, from, mac} = broken[0]!
    expect(mac).to.equal(gone.mac)
    expect((error as Error).message).to.contain(gone.mac)
    const lost = sorted.filter((key) => comparePaths(key, from!) >= 0 && comparePaths(key, before!) < 0)
    expect(lost).to.deep.equal(gone.node.keys)
    expect((await failureOf(collect((await open(top)).nodes()))).message).to.contain(gone.mac)
  })

  it('orders as its kind does', async function () {
    const all = new Map(['/b', '/a/a', '/c'].map((path, index) => [path, valueOf(index + 1)]))
    const options = {...FILES, compare: compareBytes}
    const tree = await open(box.tree(all, {...options, order: 2}), options)
    expect((await collect(tree.entries())).map(({key}) => key)).to.deep.equal(['/a/a', '/b', '/c'])
  })
})
