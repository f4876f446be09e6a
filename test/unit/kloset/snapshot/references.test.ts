/* eslint-disable camelcase -- kloset's names */
import {expect} from 'chai'

import type {Mac} from '../../../../src/kloset/mac.js'

import {IntegrityError, StoreFormatError} from '../../../../src/errors.js'
import {BLOB_TYPES, type BlobType} from '../../../../src/kloset/blob-type.js'
import {
  type BrokenReference,
  compareBytes,
  comparePaths,
  type Filesystem,
  Snapshot,
  snapshotReferences,
} from '../../../../src/kloset/snapshot/index.js'
import {failureOf} from '../../../helpers/failure.js'
import {BlobBox, bytesOf} from './trees.js'

const {
  btreeNode,
  btreeRoot,
  chunk,
  errorBtree,
  errorEntry,
  errorNode,
  object,
  signature,
  snapshot: snapshotType,
  vfsBtree,
  vfsEntry,
  vfsNode,
  vfsSummary,
  xattrBtree,
  xattrEntry,
  xattrNode,
} = BLOB_TYPES
const ID = 'cd'.repeat(32) as Mac
const DIRECTORY = 0x80_00_01_ed

/** A snapshot with two files in a folder, an extended attribute, an error, a listing and a summary. */
class Sample {
  readonly attributeObject: Mac
  readonly box = new BlobBox()
  readonly chunks: Mac[]
  readonly entries = new Map<string, Mac>()
  readonly objects: Mac[]

  constructor() {
    const {box} = this
    this.chunks = ['one', 'two', 'value'].map((content) => box.put(chunk, content))
    this.objects = [[0, 1], [1]].map((numbers) => this.#object(numbers))
    this.attributeObject = this.#object([2])
    this.#entry('/', {mode: DIRECTORY, name: '/'}, '/')
    this.#entry('/f', {mode: DIRECTORY, name: 'f'}, '/')
    this.#entry('/f/a', {mode: 0o644, name: 'a'}, '/f', {
      extended_attributes: ['user.note', 'user.gone'],
      object: bytesOf(this.objects[0]!),
    })
    this.#entry('/f/b', {mode: 0o644, name: 'b'}, '/f', {object: bytesOf(this.objects[1]!)})
    const attribute = {name: 'user.note', object: bytesOf(this.attributeObject), path: '/f/a', size: 5, type: 0}
    const attributes = new Map([['/f/auser.note:', box.put(xattrEntry, attribute)]])
    const errors = new Map([['/f/c', box.put(errorEntry, {error: 'denied', name: '/f/c'})]])
    const dirpack = new Map([['/f', this.objects[1]!]])
    const summaries = new Map([['/f', box.put(vfsSummary, {})]])
    const index = (name: string, values: Map<string, Mac>) => ({
      name,
      type: 'btree',
      value: bytesOf(box.tree(values, {compare: compareBytes, nodeType: btreeNode, rootType: btreeRoot})),
    })
    const header = {
      identifier: bytesOf(ID),
      identity: {identifier: Buffer.alloc(16, 1), public_key: Buffer.alloc(32)},
      sources: [
        {
          indexes: [index('dirpack', dirpack), index('summary', summaries), index('content-type', new Map())],
          root: {
            errors: bytesOf(box.tree(errors, {compare: compareBytes, nodeType: errorNode, rootType: errorBtree})),
            root: bytesOf(
              box.tree(this.entries, {compare: comparePaths, nodeType: vfsNode, order: 2, rootType: vfsBtree}),
            ),
            xattrs: bytesOf(box.tree(attributes, {compare: comparePaths, nodeType: xattrNode, rootType: xattrBtree})),
          },
        },
      ],
    }
    box.put(snapshotType, header, ID)
  }

  async files(): Promise<Filesystem> {
    return (await this.open()).files()
  }

  async open(): Promise<Snapshot> {
    return Snapshot.open(this.box.read, ID)
  }

  #entry(path: string, file_info: object, parent_path: string, rest: object = {}): void {
    this.entries.set(path, this.box.put(vfsEntry, {file_info, parent_path, ...rest}))
  }

  #object(numbers: readonly number[]): Mac {
    // What `box` stores is msgpack: a string of less than 32 bytes has one more.
    const lengths = [4, 4, 6]
    const chunks = numbers.map((number) => ({contentMAC: bytesOf(this.chunks[number]!), length: lengths[number]}))
    return this.box.put(object, {chunks})
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

const typesOf = (references: readonly {type: BlobType}[]) => {
  const counts = new Map<BlobType, number>()
  for (const {type} of references) counts.set(type, (counts.get(type) ?? 0) + 1)
  return Object.fromEntries([...counts].sort(([a], [b]) => a - b))
}

describe('references of a snapshot', function () {
  let sample: Sample

  beforeEach(function () {
    sample = new Sample()
  })

  it('names every blob, with the file that needs it', async function () {
    const references = await collect(snapshotReferences(await sample.open()))
    expect(typesOf(references)).to.deep.equal({
      [btreeNode]: 3,
      [btreeRoot]: 3,
      [chunk]: 5,
      [errorBtree]: 1,
      [errorEntry]: 1,
      [errorNode]: 1,
      [object]: 4,
      [signature]: 1,
      [snapshotType]: 1,
      [vfsBtree]: 1,
      [vfsEntry]: 4,
      [vfsNode]: 3,
      [vfsSummary]: 1,
      [xattrBtree]: 1,
      [xattrEntry]: 1,
      [xattrNode]: 1,
    })
    const paths = (mac: Mac) => references.filter((one) => one.mac === mac).map(({path}) => path)
    expect(paths(sample.chunks[0]!)).to.deep.equal(['/f/a'])
    expect(paths(sample.chunks[1]!)).to.deep.equal(['/f/a', '/f/b', '/f'])
    expect(paths(sample.chunks[2]!)).to.deep.equal(['/f/a'])
    expect(paths(ID)).to.deep.equal([undefined, undefined])
  })

  it('leaves out what it is told to, and names it all the same', async function () {
    const asked: BlobType[] = []
    const references = await collect(
      snapshotReferences(await sample.open(), {
        shouldRead(type) {
          asked.push(type)
          return type !== object
        },
      }),
    )
    expect(references.filter(({type}) => type === object).length).to.equal(4)
    expect(references.filter(({type}) => type === chunk).length).to.equal(0)
    expect(new Set(asked)).to.deep.equal(new Set([object, vfsEntry, xattrEntry]))
  })

  it('goes on beside what is broken, and says what that costs', async function () {
    const {box, entries, objects} = sample
    box.remove(vfsEntry, entries.get('/f/b')!)
    box.remove(object, objects[0]!)
    const opened = await sample.open()
    const broken: BrokenReference[] = []
    const references = await collect(snapshotReferences(opened, {onBroken: (one) => broken.push(one)}))
    expect(broken.map(({mac, path, type}) => ({mac, path, type}))).to.deep.equal([
      {mac: objects[0], path: '/f/a', type: object},
      {mac: entries.get('/f/b'), path: '/f/b', type: vfsEntry},
    ])
    expect(references.filter(({type}) => type === xattrEntry).length).to.equal(1)
    expect((await failureOf(collect(snapshotReferences(opened)))).code).to.equal('NOT_FOUND')
  })

  it('tells which part of the tree is lost with a node', async function () {
    const opened = await sample.open()
    const nodes = (await collect(snapshotReferences(opened))).filter(({type}) => type === vfsNode)
    sample.box.remove(vfsNode, nodes[2]!.mac)
    const broken: BrokenReference[] = []
    const references = await collect(snapshotReferences(opened, {onBroken: (one) => broken.push(one)}))
    expect(broken.map(({before, from, type}) => ({before, from, type}))).to.deep.equal([
      {before: undefined, from: '/f/a', type: vfsNode},
    ])
    expect(references.filter(({type}) => type === vfsEntry).length).to.equal(2)
    sample.box.remove(vfsBtree, references.find(({type}) => type === vfsBtree)!.mac)
    broken.length = 0
    await collect(snapshotReferences(opened, {onBroken: (one) => broken.push(one)}))
    expect(broken.map(({type}) => type)).to.deep.equal([vfsBtree])
  })

  it('gives extended attributes and errors with the files', async function () {
    const files = await sample.files()
    const attributes = await collect(files.attributes(await files.lookup('/f/a')))
    expect(attributes.map(({name, object: of}) => [name, of])).to.deep.equal([['user.note', sample.attributeObject]])
    expect(await collect(files.attributes(await files.lookup('/f/b')))).to.deep.equal([])
    expect((await collect(files.errors())).map(({error, name}) => [name, error])).to.deep.equal([['/f/c', 'denied']])
  })

  it('refuses an entry that stands where another belongs, and a chunk of another length', async function () {
    const {box, entries} = sample
    const [a, b] = [entries.get('/f/a')!, entries.get('/f/b')!]
    const swapped = new Map([...entries, ['/f/a', b], ['/f/b', a]])
    const root = box.tree(swapped, {compare: comparePaths, nodeType: vfsNode, rootType: vfsBtree})
    const header = {identifier: bytesOf(ID), sources: [{root: {root: bytesOf(root)}}]}
    box.put(snapshotType, header, ID)
    expect(await failureOf((await sample.files()).lookup('/f/a'))).to.be.instanceOf(StoreFormatError)

    const files = await new Sample().files()
    const found = await files.object(await files.lookup('/f/a'))
    expect(Buffer.concat(await collect(files.content(found!))).length).to.equal(found!.chunks.size)
    const longer = box.put(object, {chunks: [{contentMAC: bytesOf(sample.chunks[0]!), length: 5}]})
    const wrong = await (await sample.files()).object({object: longer})
    expect(await failureOf(collect((await sample.files()).content(wrong!)))).to.be.instanceOf(IntegrityError)
  })

  it('has no files without a tree, nor of a source that is not there', async function () {
    sample.box.put(snapshotType, {identifier: bytesOf(ID), sources: [{}]}, ID)
    expect(await failureOf(sample.files())).to.be.instanceOf(StoreFormatError)
    sample.box.put(snapshotType, {identifier: bytesOf(ID)}, ID)
    expect(await failureOf(sample.files())).to.be.instanceOf(StoreFormatError)
    expect((await collect(snapshotReferences(await sample.open()))).length).to.equal(1)
  })
})
