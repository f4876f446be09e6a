import {expect} from 'chai'

import type {Digest} from '../../../src/registry/digest.js'
import type {Repository} from '../../../src/registry/interfaces.js'

import {KlosetOciError} from '../../../src/errors.js'
import {newConfiguration, sealConfiguration} from '../../../src/kloset/configuration.js'
import {createStore} from '../../../src/kloset/create.js'
import {tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {memoryRepository} from '../../../src/registry/memory/repository.js'
import {copyStore, type DiffEntry, diffExitCode, type DiffOptions, diffStores} from '../../../src/transfer/index.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {failureOf} from '../../helpers/failure.js'
import {testMac} from '../../helpers/macs.js'
import {spyRepository} from '../../helpers/spy-repository.js'
import {NOW, stateTag, storeWithPackfiles} from '../../helpers/test-store.js'

async function compare(left: Repository, right: Repository, options: DiffOptions = {}) {
  const diff = diffStores(left, right, options)
  const entries: DiffEntry[] = []
  for await (const entry of diff) entries.push(entry)
  return {code: diffExitCode(diff.summary), entries, summary: diff.summary}
}

/** Two equal stores. */
async function twins(packfiles = 3) {
  const made = await storeWithPackfiles(packfiles)
  const right = memoryRepository('right')
  for await (const {failure} of copyStore(made.repository, right)) expect(failure).to.equal(undefined)
  return {...made, left: made.repository, right}
}

describe('diff', () => {
  it('finds nothing between a store and its copy, and writes nothing', async () => {
    const {left, right} = await twins()
    const spy = spyRepository(right)
    const {code, entries, summary} = await compare(left, spy.repository, {deep: true})
    expect({code, entries}).to.deep.equal({code: 0, entries: []})
    expect(summary.counts).to.include({rewrapped: 0, same: 5})
    expect(spy.calls.some(({name}) => /push|tag$|untag|delete/.test(name))).to.equal(false)
  })

  it('says which stores they are before anything else', async () => {
    const {left, right} = await twins(1)
    expect((await diffStores(left, right).identity()).sameStore).to.equal(true)
    const other = memoryRepository('other')
    const configuration = newConfiguration({compression: 'none', now: NOW, repositoryId: Buffer.alloc(16, 9)})
    await createStore(other, await sealConfiguration(configuration))
    expect(await diffStores(left, other).identity()).to.deep.equal({
      left: '03030303-0303-0303-0303-030303030303',
      right: '09090909-0909-0909-0909-090909090909',
      sameStore: false,
    })
    expect((await compare(left, other)).code).to.equal(65)
  })

  it('tells what only one side has, in order, with 75', async () => {
    const {left, packfiles, right} = await twins()
    const [first, second] = [...packfiles].sort()
    await new KlosetStore(left).delete('packfile', first!)
    await new KlosetStore(right).delete('packfile', second!)
    await new KlosetStore(right).put('lock', testMac(1), bufferSource(Buffer.from('a lock')))
    const {code, entries, summary} = await compare(left, right)
    expect(entries.map(({kind, tag}) => [kind, tag])).to.deep.equal([
      ['only-right', tagOf('packfile', first!)],
      ['only-left', tagOf('packfile', second!)],
    ])
    expect({code, verdict: summary.verdict}).to.deep.equal({code: 75, verdict: 'partial'})
  })

  it('tells other content, lost content and a lost manifest apart, with 65', async () => {
    const {left, packfiles, right} = await twins()
    const [a, b] = packfiles
    await new KlosetStore(right).put('packfile', a!, bufferSource(Buffer.from('other')), {overwrite: true})
    const {digest} = await new KlosetStore(left).stat('packfile', b!)
    await left.blobs.delete(digest)
    const {code, entries} = await compare(left, right)
    const layers = Object.fromEntries(entries.map(({layer, tag}) => [tag, layer]))
    expect(layers).to.deep.equal({[tagOf('packfile', a!)]: 'layer', [tagOf('packfile', b!)]: 'content'})
    expect(entries.find(({layer}) => layer === 'content')?.left?.problem).to.contain('missing')
    expect(code).to.equal(65)
  })

  it('finds changed bytes only when it reads them', async () => {
    const {left, packfiles, right} = await twins(1)
    const {digest, size} = await new KlosetStore(right).stat('packfile', packfiles[0]!)
    const rotten = spyRepository(right)
    const {blobs} = right
    rotten.repository = new Proxy(rotten.repository, {
      get: (target, name) =>
        name === 'blobs'
          ? new Proxy(blobs, {
              get(inner, method) {
                if (method !== 'fetch') return (Reflect.get(inner, method) as () => unknown).bind(inner)
                return async (wanted: {digest: Digest}, ...rest: []) => {
                  if (wanted.digest !== digest) return blobs.fetch(wanted as never, ...rest)
                  throw new KlosetOciError('INTEGRITY', 'content has another digest')
                }
              },
            })
          : (Reflect.get(target, name) as unknown),
    })
    expect((await compare(left, rotten.repository)).code).to.equal(0)
    const {code, entries} = await compare(left, rotten.repository, {deep: true})
    expect(code).to.equal(65)
    expect(entries).to.have.length(1)
    expect(entries[0]).to.deep.include({kind: 'differs', layer: 'bytes', tag: tagOf('packfile', packfiles[0]!)})
    expect(entries[0]?.right).to.include({size})
  })

  it('takes the same content under another manifest for the same', async () => {
    const {left, right, state} = await twins(1)
    await new KlosetStore(right, {clock: {now: () => NOW + 5000, async sleep() {}}}).put(
      'state',
      testMac(1),
      bufferSource(state),
      {overwrite: true},
    )
    const {code, summary} = await compare(left, right)
    expect({code, rewrapped: summary.counts.rewrapped}).to.deep.equal({code: 0, rewrapped: 1})
  })

  it('says 69 when something could not be compared, and ends when nothing can', async () => {
    const {left, right} = await twins(1)
    const flaky = spyRepository(right, {
      before({name, subject}) {
        if (name === 'manifests.get' && subject === stateTag(1)) throw new KlosetOciError('UNREACHABLE', 'reset')
      },
    })
    const {code, entries} = await compare(left, flaky.repository)
    expect(entries.map(({kind, tag}) => [kind, tag])).to.deep.equal([['unreachable', stateTag(1)]])
    expect(code).to.equal(69)
    expect((await failureOf(compare(left, memoryRepository('empty')))).code).to.equal('NOT_FOUND')
  })
})
