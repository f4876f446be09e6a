import {expect} from 'chai'
import {createHash} from 'node:crypto'
import {lstatSync, readdirSync, readFileSync, readlinkSync, rmSync} from 'node:fs'
import {join} from 'node:path'

import {listSnapshots, resolveSnapshot} from '../../../src/kloset/catalog.js'
import {StoreContents} from '../../../src/kloset/contents.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {diffSnapshots, restore, rootOf, walkBelow} from '../../../src/restore/index.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {flipBit} from '../../helpers/damage.js'
import {failureOf} from '../../helpers/failure.js'
import {goldenInMemory, goldenObjects} from '../../helpers/golden.js'
import {FIXTURES, GOLDEN, scratchDir} from '../../helpers/hooks.js'
import {unlockedGolden} from '../../helpers/unlocked.js'

const EXPECTED = JSON.parse(readFileSync(join(FIXTURES, 'expected.json'), 'utf8')) as Record<string, {ls: string[]}>

const TREE = new Map(
  readFileSync(join(FIXTURES, 'tree.sha256'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => [line.slice(66).replace(/^dir\//, ''), line.slice(0, 64)] as const),
)

function digestsOf(root: string): Map<string, string> {
  const digests = new Map<string, string>()
  for (const path of readdirSync(root, {recursive: true}).map(String)) {
    if (!lstatSync(join(root, path)).isFile()) continue
    digests.set(
      path,
      createHash('sha256')
        .update(readFileSync(join(root, path)))
        .digest('hex'),
    )
  }

  return digests
}

for (const name of GOLDEN) {
  describe(`snapshots of the golden store ${name}, through the store`, function () {
    let contents: StoreContents

    before(async function () {
      const {secret} = await unlockedGolden(name)
      contents = await StoreContents.open(new KlosetStore(await goldenInMemory(name)), {secret})
    })

    after(function () {
      contents.close()
    })

    it('are those that plakar lists, the newest first', async function () {
      const {broken, snapshots} = await listSnapshots(contents)
      expect(broken).to.deep.equal([])
      const lines = EXPECTED[name]!.ls.map((line) => line.split(/ +/))
      expect(snapshots.map(({id, root}) => [id, root])).to.deep.equal(lines.map((cells) => [cells[1], cells.at(-1)]))
      expect(snapshots.map(({timestamp}) => timestamp.replace(/\.\d+Z/, 'Z'))).to.deep.equal(
        lines.map(([time]) => time),
      )
      const since = Date.parse(snapshots[0]!.timestamp)
      expect((await listSnapshots(contents, {since})).snapshots.map(({id}) => id)).to.deep.equal([snapshots[0]!.id])
      expect((await listSnapshots(contents, {before: since})).snapshots.map(({id}) => id)).to.deep.equal([
        snapshots[1]!.id,
      ])
      expect((await listSnapshots(contents, {tags: ['none']})).snapshots).to.deep.equal([])
      expect((await listSnapshots(contents, {latest: true, name: 'default'})).snapshots.length).to.equal(1)
      expect(await resolveSnapshot(contents, snapshots[1]!.id.slice(0, 8))).to.equal(snapshots[1]!.id)
      expect(await resolveSnapshot(contents, 'latest')).to.equal(snapshots[0]!.id)
      expect((await failureOf(resolveSnapshot(contents, 'x'))).code).to.equal('INVALID_ARGUMENT')
      expect((await failureOf(resolveSnapshot(contents, '0000000000'))).code).to.equal('NOT_FOUND')
    })

    it('are restored as they were', async function () {
      const [, oldest] = (await listSnapshots(contents)).snapshots
      const target = scratchDir('golden')
      const snapshot = await contents.snapshot(oldest!.id)
      const run = restore(contents, snapshot, {target})
      for await (const problem of run) expect.fail(problem.message)
      expect(digestsOf(target)).to.deep.equal(TREE)
      expect(readlinkSync(join(target, 'link'))).to.equal('text00.txt')
      expect(lstatSync(join(target, 'text03.txt')).mode % 0o1000).to.equal(0o600)
      const files = await snapshot.files()
      let entries = 0
      for await (const {entry, path} of walkBelow(files, await rootOf(snapshot, files))) {
        entries += 1
        const there = lstatSync(join(target, path.slice('/tmp/fx/src/dir'.length)), {bigint: true})
        const {nanoseconds, seconds} = entry!.info.modTime
        expect(there.mtimeNs / 1000n, path).to.equal((BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)) / 1000n)
        expect(Number(there.nlink) > 1 || entry!.info.nlink === 1).to.equal(true)
      }

      const {folders, links, unchanged} = run.summary
      expect([entries, unchanged]).to.deep.equal([TREE.size + folders + links, 0])
    })

    it('differ by the one file that was added', async function () {
      const [newest, oldest] = (await listSnapshots(contents)).snapshots
      const side = async (id: typeof newest) => {
        const snapshot = await contents.snapshot(id!.id)
        const files = await snapshot.files()
        return {files, path: await rootOf(snapshot, files)}
      }

      const changes: string[] = []
      for await (const {kind, path, what} of diffSnapshots(await side(oldest), await side(newest))) {
        changes.push(`${kind} ${path} ${what.join(',')}`)
      }

      expect(changes).to.deep.equal(['metadata . time', 'added second.txt '])
      for await (const {path} of diffSnapshots(await side(oldest), await side(oldest)))
        expect.fail(`${path}: they are the same`)
    })
  })
}

describe('restoring from a damaged store', function () {
  it('names the files that a flipped bit costs, and restores the others', async function () {
    const golden = goldenObjects('plaintext-uncompressed')
    const target = join(scratchDir('damaged'), 'to')
    let damaged = 0
    for (const {bytes, tag} of golden.filter((one) => one.tag.startsWith('packfiles-'))) {
      const repository = await goldenInMemory('plaintext-uncompressed')
      await repository.manifests.untag(tag)
      const store = new KlosetStore(repository)
      await store.put(
        'packfile',
        tag.slice(10) as never,
        bufferSource(flipBit(bytes, 8 * Math.floor(bytes.length / 3))),
      )
      const contents = await StoreContents.open(store)
      for (const {mac} of contents.index.snapshots()) {
        const run = restore(contents, await contents.snapshot(mac).catch(() => expect.fail('a header was hit')), {
          target,
        })
        for await (const {kind, path} of run) {
          expect(kind).to.equal('damaged')
          expect(path).to.match(/^\/tmp\/fx\/src\/dir/)
        }

        damaged += run.summary.damaged
        for (const [path, digest] of digestsOf(target)) {
          if (path !== 'second.txt') expect(digest).to.equal(TREE.get(path))
        }

        rmSync(target, {recursive: true})
      }
    }

    expect(damaged).to.be.greaterThan(0)
  })
})
