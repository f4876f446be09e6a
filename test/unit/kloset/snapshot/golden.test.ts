import {expect} from 'chai'
import {createHash} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'

import {BLOB_TYPES} from '../../../../src/kloset/blob-type.js'
import {macOf} from '../../../../src/kloset/packfile.js'
import {
  cleanPath,
  decodeDirpack,
  decodeObject,
  type Entry,
  type Filesystem,
  isSigned,
  kindOfMode,
  logicalSize,
  openIndex,
  permissionsOfMode,
  Snapshot,
  snapshotReferences,
} from '../../../../src/kloset/snapshot/index.js'
import {formatTimestamp} from '../../../../src/kloset/timestamp.js'
import {failureOf} from '../../../helpers/failure.js'
import {type GoldenReader, goldenReader} from '../../../helpers/golden-reader.js'
import {FIXTURES, GOLDEN} from '../../../helpers/hooks.js'

const EXPECTED = JSON.parse(readFileSync(join(FIXTURES, 'expected.json'), 'utf8')) as Record<
  string,
  {info: string[]; ls: string[]}
>

/** Paths below the root, without the folder's own name, and the SHA-256 of each file's content. */
const TREE = new Map(
  readFileSync(join(FIXTURES, 'tree.sha256'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => [line.slice(66).replace(/^dir\//, ''), line.slice(0, 64)] as const),
)

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function contentOf(files: Filesystem, entry: Entry): Promise<Buffer> {
  const object = await files.object(entry)
  return Buffer.concat(object ? await collect(files.content(object)) : [])
}

/** Both snapshots, the newest first as plakar lists them. */
async function snapshotsOf({index, read}: GoldenReader): Promise<Snapshot[]> {
  const snapshots: Snapshot[] = []
  for (const {mac} of index.snapshots()) snapshots.push(await Snapshot.open(read, mac))
  return snapshots.sort((a, b) =>
    formatTimestamp(b.header.timestamp).localeCompare(formatTimestamp(a.header.timestamp)),
  )
}

for (const name of GOLDEN) {
  describe(`snapshots of the golden store ${name}`, function () {
    let newest: Snapshot
    let oldest: Snapshot
    let store: GoldenReader

    before(async function () {
      store = await goldenReader(name)
      ;[newest, oldest] = (await snapshotsOf(store)) as [Snapshot, Snapshot]
    })

    it('lists them as plakar ls does', function () {
      const lines = [newest, oldest].map(({header}) => {
        const {directory} = header.sources[0]!.importer
        const size = `${Math.round(logicalSize(header) / 1024)} KiB`
        const time = formatTimestamp({...header.timestamp, nanoseconds: 0})
        return `${time} ${header.identifier} ${size} ${Math.round(header.duration / 1e9)}s ${directory}`
      })
      expect(lines).to.deep.equal(EXPECTED[name]!.ls.map((line) => line.replaceAll(/ +/g, ' ')))
      const total = logicalSize(newest.header) + logicalSize(oldest.header)
      expect(EXPECTED[name]!.info.find((line) => line.startsWith('Logical size'))).to.contain(`(${total} bytes)`)
    })

    it('reads their headers', function () {
      const {header} = newest
      expect(header).to.include({category: '', name: 'default', replicas: 1, version: 0x01_00_00})
      expect(header.timestamp.nanoseconds).to.be.within(0, 999_999_999)
      expect(header.tags).to.deep.equal([])
      expect(isSigned(header)).to.equal(false)
      expect(header.context.find(({key}) => key === 'Client')?.value).to.equal('plakar/v1.1.4')
      const [source] = header.sources
      expect(header.sources.length).to.equal(1)
      expect(source!.importer.type).to.equal('fs')
      expect(source!.indexes.map((one) => one.name).sort()).to.deep.equal(['content-type', 'dirpack', 'summary'])
      expect(source!.summary.directory.files + source!.summary.below.files).to.equal(TREE.size + 1)
      expect(source!.summary.below.symlinks + source!.summary.directory.symlinks).to.equal(1)
    })

    it('gives every file of the first snapshot, byte for byte', async function () {
      const files = await oldest.files()
      const root = oldest.header.sources[0]!.importer.directory
      const found = new Map<string, string>()
      for await (const entry of files.walk(root)) {
        if (kindOfMode(entry.info.mode) !== 'file') continue
        const content = await contentOf(files, entry)
        expect(content.length).to.equal(entry.info.size)
        found.set(entry.path.slice(root.length + 1), createHash('sha256').update(content).digest('hex'))
      }

      expect(found).to.deep.equal(TREE)
    })

    it('gives every file of the second snapshot, and its one more', async function () {
      const files = await newest.files()
      const root = newest.header.sources[0]!.importer.directory
      const second = await files.lookup(`${root}/second.txt`)
      expect((await contentOf(files, second)).length).to.equal(second.info.size)
      const paths: string[] = []
      for await (const entry of files.entries()) {
        const path = entry.path.slice(root.length + 1)
        const expected = TREE.get(path)
        if (kindOfMode(entry.info.mode) !== 'file') continue
        paths.push(path)
        if (path === 'second.txt') continue
        expect(
          createHash('sha256')
            .update(await contentOf(files, entry))
            .digest('hex'),
          path,
        ).to.equal(expected)
      }

      expect(paths.sort()).to.deep.equal([...TREE.keys(), 'second.txt'].sort())
    })

    it('knows modes, times, links and names', async function () {
      const files = await newest.files()
      const root = newest.header.sources[0]!.importer.directory
      const link = await files.lookup(`${root}/link`)
      expect([kindOfMode(link.info.mode), link.symlinkTarget, link.object]).to.deep.equal([
        'symlink',
        'text00.txt',
        undefined,
      ])
      const secret = await files.lookup(`${root}/text03.txt`)
      expect(permissionsOfMode(secret.info.mode)).to.equal(0o600)
      expect(secret.info.modTime.seconds).to.be.greaterThan(1_700_000_000)
      expect(secret.info.nlink).to.equal(1)
      const empty = await files.lookup(`${root}/sub/empty`)
      expect([empty.info.size, (await contentOf(files, empty)).length]).to.deep.equal([0, 0])
      expect((await files.lookup(`${root}/sub/../sub//unicode-é-名前.txt`)).info.name).to.equal('unicode-é-名前.txt')
      expect((await files.lookup('/')).path).to.equal('/')
      for (const path of ['/nowhere', `${root}/text03.txt/below`, `${root}/text`, '/zz', '/!']) {
        expect((await failureOf(files.lookup(path))).code, path).to.equal('NOT_FOUND')
      }

      expect(await collect(files.errors())).to.deep.equal([])
      expect(await collect(files.attributes(secret))).to.deep.equal([])
    })

    it('lists folders as their own listings do, in order', async function () {
      const files = await newest.files()
      const {value} = newest.header.sources[0]!.indexes.find((one) => one.name === 'dirpack')!
      const listings = await openIndex(store.read, value!)
      let folders = 0
      for await (const {key, value: mac} of listings.entries()) {
        folders += 1
        const object = decodeObject(await store.read(BLOB_TYPES.object, mac), 'listing')
        const packed = await collect(decodeDirpack(files.content(object) as AsyncIterable<Buffer>, key))
        const children = await collect(files.children(key))
        expect(children.map((entry) => entry.path)).to.deep.equal(
          packed.map(({entry}) => entry.path).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
        )
        for (const {entry, mac: own} of packed) {
          expect(await files.entry(own, entry.path)).to.deep.equal(entry)
        }
      }

      expect(folders).to.equal(13)
      expect((await failureOf(collect(files.children('/tmp/fx/src/dir/text00.txt')))).code).to.equal('NOT_FOUND')
    })

    it('walks every folder before what it holds', async function () {
      const files = await newest.files()
      const walked = (await collect(files.walk())).map((entry) => entry.path)
      const listed = (await collect(files.entries())).map((entry) => entry.path)
      expect([...walked].sort()).to.deep.equal([...listed].sort())
      for (const [at, path] of walked.entries()) {
        const parent = cleanPath(`${path}/..`)
        if (path !== '/') expect(walked.slice(0, at)).to.include(parent)
      }

      const deep = '/tmp/fx/src/dir/deep/a'
      expect((await collect(files.walk(`${deep}/`))).map((entry) => entry.path)).to.deep.equal(
        walked.filter((path) => path === deep || path.startsWith(`${deep}/`)),
      )
    })

    it('has objects whose MAC is that of the whole content', async function () {
      const files = await newest.files()
      for await (const entry of files.walk()) {
        const object = await files.object(entry)
        if (!object) continue
        expect(object.chunks.size).to.equal(entry.info.size)
        expect(macOf(store.hasher, await contentOf(files, entry)).toString('hex')).to.equal(object.contentMac)
      }
    })

    it('refers to every blob of the store, and to none that is not there', async function () {
      const referred = new Set<string>()
      for (const snapshot of [newest, oldest]) {
        for await (const {mac, type} of snapshotReferences(snapshot)) referred.add(`${type} ${mac}`)
      }

      const there = new Set<string>()
      for (const {mac, type} of store.index.allLocations()) {
        if (type !== BLOB_TYPES.random) there.add(`${type} ${mac}`)
      }

      expect([...referred].sort()).to.deep.equal([...there].sort())
    })
  })
}
