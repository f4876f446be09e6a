import {expect} from 'chai'

import {type Digest, digestOf} from '../../../../src/registry/digest.js'
import {
  formatEntry,
  type IndexEntry,
  Interner,
  parseEntry,
  tagOfName,
} from '../../../../src/registry/layout/index-entry.js'
import {IndexDraft, LayoutIndex} from '../../../../src/registry/layout/index-model.js'
import {MEDIA_TYPE} from '../../../../src/registry/media-types.js'

const REF = 'org.opencontainers.image.ref.name'

function entry(content: string, name?: string, more: object = {}): IndexEntry {
  const json = {
    annotations: name === undefined ? undefined : {[REF]: name},
    digest: digestOf(Buffer.from(content)),
    mediaType: MEDIA_TYPE.imageManifest,
    size: content.length,
    ...more,
  }
  return parseEntry(JSON.stringify(json), 'test', new Interner())
}

/** What the index is after it was written and read again. */
function written(draft: IndexDraft): LayoutIndex {
  const json = JSON.parse(Buffer.concat([...draft.serialise()]).toString()) as {manifests: unknown[]}
  return new LayoutIndex(
    json.manifests.map((item) => parseEntry(JSON.stringify(item), 'test', new Interner())),
    {},
  )
}

function tagsOf(index: LayoutIndex): Record<string, string> {
  return Object.fromEntries(index.sortedTags().map((tag) => [tag, index.tagged(tag)!.digest]))
}

/** Applies the edits, and proves that the index in memory and the one read back are the same. */
function edited(entries: IndexEntry[], edit: (draft: IndexDraft) => void): LayoutIndex {
  const index = new LayoutIndex(entries)
  const draft = new IndexDraft(index)
  edit(draft)
  const again = written(draft)
  draft.commit()
  expect(tagsOf(index)).to.deep.equal(tagsOf(again))
  expect(new Set(index.digests())).to.deep.equal(new Set(again.digests()))
  expect(index.size).to.equal(again.size)
  return index
}

function digest(content: string): Digest {
  return digestOf(Buffer.from(content))
}

describe('layout index', () => {
  it('knows the tag in what other tools write', () => {
    expect(tagOfName('latest')).to.equal('latest')
    expect(tagOfName('docker.io/library/busybox:1.36')).to.equal('1.36')
    expect(tagOfName('localhost:5000/a/b:tag')).to.equal('tag')
    expect(tagOfName('localhost:5000/a/b:tag@sha256:abc')).to.equal('tag')
    for (const none of ['localhost:5000/a/b', 'a/b', 'x@sha256:abc', '', ':tag', 'a:b c']) {
      expect(tagOfName(none), none).to.equal(undefined)
    }
  })

  it('gives a doubled tag to its last entry, and a tag alone goes before one in a reference', () => {
    expect(tagsOf(new LayoutIndex([entry('1', 'a'), entry('2', 'a')]))).to.deep.equal({a: digest('2')})
    expect(tagsOf(new LayoutIndex([entry('1', 'a'), entry('2', 'x/y:a')]))).to.deep.equal({a: digest('1')})
    expect(tagsOf(new LayoutIndex([entry('1', 'x/y:a'), entry('2', 'z:a')]))).to.deep.equal({a: digest('2')})
  })

  it('does not bring a doubled tag back when it is removed or its manifest is deleted', () => {
    const doubled = [entry('1', 'a'), entry('2', 'x:a'), entry('3', 'a')]
    const removed = edited(doubled, (draft) => expect(draft.removeTag('a')!.digest).to.equal(digest('3')))
    expect(tagsOf(removed)).to.deep.equal({})
    expect(new Set(removed.digests())).to.deep.equal(new Set([digest('1'), digest('2')]))
    const deleted = edited(doubled, (draft) => expect(draft.removeDigest(digest('3'))).to.equal(true))
    expect(tagsOf(deleted)).to.deep.equal({})
    const moved = edited(doubled, (draft) => draft.setTag('a', entry('4')))
    expect(tagsOf(moved)).to.deep.equal({a: digest('4')})
    expect(new Set(moved.digests())).to.deep.equal(new Set(['1', '2', '3', '4'].map((content) => digest(content))))
  })

  it('keeps what it does not know of an entry, also through a change of its name', () => {
    const platform = {architecture: 'riscv64', os: 'linux'}
    const foreign = entry('1', undefined, {annotations: {'x.y': 'z'}, data: 'e30=', platform})
    const index = edited([foreign], (draft) => draft.setTag('a', entry('1')))
    expect(index.size).to.equal(1)
    expect(JSON.parse(formatEntry(index.tagged('a')!))).to.deep.include({
      annotations: {[REF]: 'a', 'x.y': 'z'},
      data: 'e30=',
      platform,
    })
    const bare = edited([...index.entries()], (draft) => draft.addUntagged(draft.removeTag('a')!))
    expect(JSON.parse(formatEntry([...bare.entries()][0]!))).to.deep.include({annotations: {'x.y': 'z'}, platform})
  })

  it('writes nothing for a tag that is right already', () => {
    const draft = new IndexDraft(new LayoutIndex([entry('1', 'a')]))
    draft.setTag('a', entry('1'))
    draft.addUntagged(entry('1'))
    expect(draft.isEmpty).to.equal(true)
  })

  it('leaves the index as it is until the draft is written', () => {
    const index = new LayoutIndex([entry('1', 'a')])
    const draft = new IndexDraft(index)
    draft.setTag('a', entry('2'))
    draft.setTag('b', entry('2'))
    draft.removeTag('a')
    expect(tagsOf(index)).to.deep.equal({a: digest('1')})
    expect(draft.tagged('a')).to.equal(undefined)
    draft.commit()
    expect(tagsOf(index)).to.deep.equal({b: digest('2')})
    expect(new Set(index.digests())).to.deep.equal(new Set([digest('1'), digest('2')]))
  })

  it('takes many changes of the same tags in one draft', () => {
    const index = edited([entry('1', 'a'), entry('2', 'b'), entry('2', 'c')], (draft) => {
      for (let round = 0; round < 50; round++) {
        draft.setTag('a', entry(`r${round}`))
        draft.setTag(`t${round % 7}`, entry(`r${round}`))
      }

      for (let round = 0; round < 49; round++) draft.removeDigest(digest(`r${round}`))
      draft.removeTag('c')
      draft.addUntagged(entry('9'))
    })
    expect(tagsOf(index)).to.deep.equal({a: digest('r49'), b: digest('2'), t0: digest('r49')})
  })

  it('finds entries that are indexes', () => {
    const nested = entry('i', 'i', {mediaType: MEDIA_TYPE.imageIndex})
    const index = new LayoutIndex([nested, entry('1', 'a')])
    expect([...index.nested()]).to.deep.equal([nested])
    const draft = new IndexDraft(index)
    draft.removeTag('i')
    expect([...draft.nested()]).to.deep.equal([])
  })

  it('refuses entries that are none', () => {
    const good = {digest: digest('1'), mediaType: 'a/b', size: 1}
    for (const bad of [
      null,
      [],
      'x',
      {},
      {...good, digest: 'sha256:../../etc/passwd'},
      {...good, digest: `sha256:${'A'.repeat(64)}`},
      {...good, digest: `md5:${'a'.repeat(32)}`},
      {...good, size: -1},
      {...good, size: 1.5},
      {...good, size: '1'},
      {...good, mediaType: 5},
      {...good, annotations: {[REF]: 5}},
      {...good, annotations: 'x'},
    ]) {
      expect(() => parseEntry(JSON.stringify(bad), 'what', new Interner()), JSON.stringify(bad)).to.throw(/^what/)
    }
  })
})
