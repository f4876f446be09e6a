import {expect} from 'chai'

import type {MemoryRepository} from '../../../src/registry/memory/repository.js'

import {collectGcCheck, type GcCheckOptions} from '../../../src/checker/gc-check.js'
import {exitCodeOf} from '../../../src/checker/summary.js'
import {newConfiguration, sealConfiguration} from '../../../src/kloset/configuration.js'
import {sealEnvelope} from '../../../src/kloset/envelope.js'
import {createHasher} from '../../../src/kloset/hashing.js'
import {tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {makeVersion} from '../../../src/kloset/version.js'
import {digestOf} from '../../../src/registry/digest.js'
import {MEDIA_TYPE} from '../../../src/registry/media-types.js'
import {memoryRepository} from '../../../src/registry/memory/repository.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {flipBit} from '../../helpers/damage.js'
import {failureOf} from '../../helpers/failure.js'
import {goldenInMemory} from '../../helpers/golden.js'
import {testMac} from '../../helpers/macs.js'
import {
  CONFIGURATION,
  emptyStore,
  lockOf,
  NOW,
  sealed,
  stateTag,
  storeWithStates,
  TEST_CLOCK,
} from '../../helpers/test-store.js'

const check = async (repository: MemoryRepository, options: GcCheckOptions = {}) =>
  collectGcCheck(repository, {clock: TEST_CLOCK, ...options})

describe('gcCheck findings', () => {
  describe('configuration', () => {
    it('says that there is no store in an empty repository, or beside foreign tags alone', async () => {
      const empty = memoryRepository()
      expect((await failureOf(check(empty))).code).to.equal('NOT_FOUND')
      await addImage(empty, 'latest')
      const error = await failureOf(check(empty))
      expect([error.code, error.facts['foreign']]).to.deep.equal(['NOT_FOUND', 1])
    })

    it('finds it missing beside objects', async () => {
      const {repository} = await storeWithStates(2)
      await repository.manifests.untag('CONFIG')
      const {findings, summary} = await check(repository)
      const missing = findings.find(({kind}) => kind === 'config-missing')
      expect(missing).to.include({count: 2, tag: 'CONFIG'})
      expect(summary.verdict).to.equal('damaged')
      expect(summary.nextSteps.join(' ')).to.contain('Put CONFIG back')
    })

    it('finds it empty, no configuration, damaged, or of an unknown version', async () => {
      const good = await sealConfiguration(CONFIGURATION)
      const cases: [Buffer, string, number][] = [
        [Buffer.alloc(0), 'config-unreadable', 65],
        [Buffer.alloc(200, 1), 'config-unreadable', 65],
        [flipBit(good, 8 * 100), 'config-unreadable', 65],
        // A version that its MAC does not vouch for is damage, not news.
        [flipBit(good, 8 * 12 + 1), 'config-unreadable', 65],
        [await newerVersion(good), 'unknown-version', 78],
        [await unknownHashing(), 'unknown-version', 78],
      ]
      for (const [bytes, kind, code] of cases) {
        const {repository} = await storeWithStates(1)
        await new KlosetStore(repository).putConfig(bytes, {overwrite: true})
        const {findings, summary} = await check(repository)
        expect(findings.map((one) => one.kind)).to.include(kind)
        expect(exitCodeOf(summary), kind).to.equal(code)
        expect(summary.notChecked, kind).to.have.length(1)
      }
    })

    it('finds an earlier one that lies there without a tag', async () => {
      const {repository} = await storeWithStates(1)
      const other = newConfiguration({now: NOW})
      await new KlosetStore(repository).putConfig(
        await sealConfiguration({
          ...other,
          ...CONFIGURATION,
          chunking: other.chunking,
          packfile: {...other.packfile, maxSize: 1},
        }),
        {
          overwrite: true,
        },
      )
      const {findings, summary} = await check(repository)
      expect(findings.map(({kind}) => kind)).to.deep.equal(['config-duplicate'])
      expect(summary.verdict).to.equal('clean')
    })
  })

  describe('locks', () => {
    it('says who holds a lock, and which are stale', async () => {
      const {repository, store} = await emptyStore()
      await store.put('lock', testMac(1), bufferSource(await lockOf(4, 'alive')))
      await store.put('lock', testMac(2), bufferSource(await lockOf(10, 'dead')))
      await store.put('lock', testMac(3), bufferSource(await lockOf(-30, 'ahead')))
      const {findings, summary} = await check(repository)
      const told = Object.fromEntries(
        findings.map(({kind, message, severity}) => [message.split(': ')[1], [kind, severity]]),
      )
      expect(told).to.deep.equal({
        'shared lock of ahead, refreshed 0 s ago, by a clock 30 min ahead of this one': ['lock-held', 'info'],
        'shared lock of alive, refreshed 4 min ago': ['lock-held', 'info'],
        'shared lock of dead, not refreshed for 10 min': ['lock-stale', 'warning'],
      })
      expect(exitCodeOf(summary)).to.equal(0)
      expect(summary.nextSteps).to.have.length(1)
    })

    it('reads locks of a compressed store', async () => {
      const repository = await goldenInMemory('plaintext')
      const store = new KlosetStore(repository)
      await store.put('lock', testMac(1), bufferSource(await sealed('lock', Buffer.alloc(0))))
      const {findings} = await check(repository)
      // Its MAC is another store's: found, without asking for a deep check.
      expect(findings.map(({kind}) => kind)).to.deep.equal(['mac-mismatch'])
    })

    it('finds a damaged one, and one of an unknown version', async () => {
      const {repository, store} = await emptyStore()
      await store.put('lock', testMac(1), bufferSource(await sealed('lock', Buffer.from('no lock'))))
      await store.put('lock', testMac(2), bufferSource(flipBit(await lockOf(1), 8 * 30)))
      await store.put('lock', testMac(3), bufferSource(await sealed('lock', Buffer.from('x'), makeVersion(9, 0, 0))))
      const {findings} = await check(repository)
      expect(findings.map(({kind, object}) => [object!.mac, kind]).sort()).to.deep.equal([
        [testMac(1), 'envelope-invalid'],
        [testMac(2), 'mac-mismatch'],
        [testMac(3), 'unknown-version'],
      ])
    })

    it('cannot tell the age in an encrypted store, and says so', async () => {
      const repository = await goldenInMemory('encrypted')
      const store = new KlosetStore(repository, {clock: TEST_CLOCK})
      await store.put('lock', testMac(1), bufferSource(await lockOf(1)))
      const {findings, summary} = await check(repository)
      expect(findings.map(({kind}) => kind)).to.deep.equal(['lock-unreadable'])
      expect(findings[0]!.found).to.equal('2026-01-01T00:00:00.000Z')
      expect(summary.notChecked[0]).to.match(/passphrase/)
    })
  })

  describe('other tags and manifests', () => {
    it('counts foreign tags and calls nothing of theirs unreferenced', async () => {
      const {repository} = await storeWithStates(1)
      for (const tag of ['latest', 'packfiles-no-mac', 'sha256-abc.sig']) await addImage(repository, tag)
      const {findings, summary} = await check(repository)
      expect(findings.map(({count, kind}) => [kind, count])).to.deep.equal([['foreign-tags', 3]])
      expect(summary.objects.foreign).to.equal(3)
      expect(exitCodeOf(summary)).to.equal(0)
    })

    it('follows a foreign index to its images', async () => {
      const {repository} = await storeWithStates(1)
      const child = await addImage(repository, 'child')
      const index = {manifests: [child], mediaType: MEDIA_TYPE.imageIndex, schemaVersion: 2}
      const raw = {bytes: Buffer.from(JSON.stringify(index)), mediaType: MEDIA_TYPE.imageIndex}
      await repository.manifests.push(raw, {tag: 'index'})
      await repository.manifests.untag('child', {deleteManifest: false})
      const {findings} = await check(repository)
      expect(findings.map(({count, kind}) => [kind, count])).to.deep.equal([['foreign-tags', 1]])
    })

    it('names both tags that share a manifest', async () => {
      const {repository} = await storeWithStates(1)
      const target = await repository.manifests.resolve(stateTag(1))
      await repository.manifests.tag(target, 'kept')
      const {findings} = await check(repository)
      const shared = findings.find(({kind}) => kind === 'shared-digest')
      expect(shared).to.include({severity: 'warning', tag: stateTag(1)})
      expect(shared!.message).to.contain('a foreign tag')
      await repository.manifests.tag(target, stateTag(2))
      const again = await check(repository)
      const wrong = again.findings.find(({kind}) => kind === 'name-mismatch')
      expect(wrong).to.include({expected: stateTag(2), found: stateTag(1), tag: stateTag(2)})
    })

    it('finds what our own manifests say against their tag', async () => {
      const {repository} = await storeWithStates(1)
      await repository.manifests.tag(await repository.manifests.resolve(stateTag(1)), tagOf('packfile', testMac(1)))
      const {findings} = await check(repository)
      const wrong = findings.filter(({tag}) => tag === tagOf('packfile', testMac(1))).map(({kind}) => kind)
      expect(wrong.sort()).to.deep.equal(['name-mismatch', 'shared-digest', 'type-mismatch'])
    })

    it('finds manifests that are none', async () => {
      for (const json of ['{', '[]', '{}', '{"layers":[]}', '{"layers":[{"digest":"sha256:x"}]}']) {
        const {repository} = await storeWithStates(1)
        await repository.manifests.push(
          {bytes: Buffer.from(json), mediaType: MEDIA_TYPE.imageManifest},
          {tag: stateTag(1)},
        )
        const {findings, summary} = await check(repository)
        expect(findings.find(({tag}) => tag === stateTag(1))!.kind, json).to.equal('manifest-malformed')
        expect(exitCodeOf(summary)).to.equal(65)
      }
    })

    it('tells lost objects from what locks and earlier writes leave behind', async () => {
      const {repository, store} = await storeWithStates(2)
      await store.put('lock', testMac(1), bufferSource(await lockOf(3)))
      await store.put('lock', testMac(1), bufferSource(await lockOf(1)))
      await repository.manifests.untag(stateTag(2), {deleteManifest: false})
      const orphan = Buffer.from('left by an interrupted upload')
      await repository.blobs.push(
        {digest: digestOf(orphan), mediaType: MEDIA_TYPE.octetStream, size: orphan.length},
        bufferSource(orphan),
      )
      const {findings} = await check(repository)
      const kinds = findings.map(({digest, kind, tag}) => [kind, tag ?? digest])
      expect(kinds).to.have.deep.members([
        ['lock-held', tagOf('lock', testMac(1))],
        ['unreferenced-blob', digestOf(orphan)],
        ['untagged-manifest', tagOf('lock', testMac(1))],
        ['untagged-object', stateTag(2)],
      ])
    })
  })
})

/** A container image under a tag. */
async function addImage(repository: MemoryRepository, tag: string) {
  const blobs = [`{"tag":"${tag}"}`, `layer of ${tag}`].map((text) => Buffer.from(text))
  const [config, layer] = blobs.map((bytes) => ({
    digest: digestOf(bytes),
    mediaType: MEDIA_TYPE.octetStream,
    size: bytes.length,
  }))
  for (const [index, descriptor] of [config!, layer!].entries()) {
    await repository.blobs.push(descriptor, bufferSource(blobs[index]!))
  }

  const manifest = {config, layers: [layer], mediaType: MEDIA_TYPE.imageManifest, schemaVersion: 2}
  const raw = {bytes: Buffer.from(JSON.stringify(manifest)), mediaType: MEDIA_TYPE.imageManifest}
  return repository.manifests.push(raw, {tag})
}

/** The same configuration as a later program may write it. */
async function newerVersion(config: Buffer): Promise<Buffer> {
  const hasher = await createHasher('BLAKE3')
  return sealEnvelope(config.subarray(16, -32), {hasher, resource: 'config', version: makeVersion(9, 0, 0)})
}

async function unknownHashing(): Promise<Buffer> {
  return sealConfiguration({...CONFIGURATION, hashing: {algorithm: 'BLAKE4', bits: 256}})
}
