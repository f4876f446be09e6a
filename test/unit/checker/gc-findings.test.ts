import {expect} from 'chai'

import type {MemoryRepository} from '../../../src/registry/memory/repository.js'

import {collectGcCheck, gcCheck, type GcCheckOptions} from '../../../src/checker/gc-check.js'
import {exitCodeOf} from '../../../src/checker/summary.js'
import {KlosetOciError} from '../../../src/errors.js'
import {hashingOf, macKeyOf, newConfiguration, sealConfiguration} from '../../../src/kloset/configuration.js'
import {createStore} from '../../../src/kloset/create.js'
import {sealEnvelope} from '../../../src/kloset/envelope.js'
import {createHasher} from '../../../src/kloset/hashing.js'
import {encodeLock} from '../../../src/kloset/lock.js'
import {CONFIG_DESCRIPTOR} from '../../../src/kloset/object-manifest.js'
import {type Resource, tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {timestampFromMillis} from '../../../src/kloset/timestamp.js'
import {makeVersion, type Version} from '../../../src/kloset/version.js'
import {digestOf} from '../../../src/registry/digest.js'
import {MEDIA_TYPE} from '../../../src/registry/media-types.js'
import {memoryRepository} from '../../../src/registry/memory/repository.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {flipBit} from '../../helpers/damage.js'
import {failureOf} from '../../helpers/failure.js'
import {goldenInMemory} from '../../helpers/golden.js'
import {testMac} from '../../helpers/macs.js'
import {countCalls, type SpyOptions, spyRepository} from '../../helpers/spy-repository.js'

const NOW = Date.UTC(2026, 0, 1)
const MINUTE = 60_000
const clock = {now: () => NOW, async sleep() {}}
const V1 = makeVersion(1, 0, 0)
const configuration = newConfiguration({compression: 'none', now: NOW, repositoryId: Buffer.alloc(16, 3)})

/** An object of the test store with a right MAC, whatever its data. */
async function sealed(resource: Resource, data: Uint8Array, version: Version = V1): Promise<Buffer> {
  const hasher = await createHasher(hashingOf(configuration), await macKeyOf(configuration))
  return sealEnvelope(data, {hasher, resource, version})
}

async function lockOf(minutesAgo: number, hostname = 'host-1'): Promise<Buffer> {
  const timestamp = timestampFromMillis(NOW - minutesAgo * MINUTE)
  return sealed('lock', encodeLock({exclusive: false, hostname, timestamp, version: V1}))
}

/** A store with its configuration alone. */
async function emptyStore(): Promise<{repository: MemoryRepository; store: KlosetStore}> {
  const repository = memoryRepository()
  return {repository, store: await createStore(repository, await sealConfiguration(configuration))}
}

async function storeWithStates(count: number) {
  const made = await emptyStore()
  for (let number = 1; number <= count; number++) {
    await made.store.put('state', testMac(number), bufferSource(await sealed('state', Buffer.from(`${number}`))))
  }

  return made
}

const check = async (repository: MemoryRepository, options: GcCheckOptions = {}) =>
  collectGcCheck(repository, {clock, ...options})

async function checkSpied(repository: MemoryRepository, spy: SpyOptions, options: GcCheckOptions = {}) {
  const {calls, repository: spied} = spyRepository(repository, spy)
  return {calls, ...(await collectGcCheck(spied, {clock, ...options}))}
}

const stateTag = (number: number) => tagOf('state', testMac(number))
const broken = (status = 500) => new KlosetOciError('REGISTRY', `GET: ${status}`, {facts: {attempts: 5, status}})

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
      const [missing] = findings.filter(({kind}) => kind === 'config-missing')
      expect(missing).to.include({count: 2, tag: 'CONFIG'})
      expect(summary.verdict).to.equal('damaged')
      expect(summary.nextSteps.join(' ')).to.contain('Put CONFIG back')
    })

    it('finds it empty, no configuration, damaged, or of an unknown version', async () => {
      const good = await sealConfiguration(configuration)
      const cases: [Buffer, string, number][] = [
        [Buffer.alloc(0), 'config-unreadable', 65],
        [Buffer.alloc(200, 1), 'config-unreadable', 65],
        [flipBit(good, 8 * 100), 'config-unreadable', 65],
        [flipBit(good, 8 * 12 + 1), 'unknown-version', 78],
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
      await new KlosetStore(repository).putConfig(await sealConfiguration({...other, ...configuration, chunking: other.chunking, packfile: {...other.packfile, maxSize: 1}}), {
        overwrite: true,
      })
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
      const told = Object.fromEntries(findings.map(({kind, message, severity}) => [message.split(': ')[1], [kind, severity]]))
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
      const store = new KlosetStore(repository, {clock})
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
      const [shared] = findings.filter(({kind}) => kind === 'shared-digest')
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
        await repository.manifests.push({bytes: Buffer.from(json), mediaType: MEDIA_TYPE.imageManifest}, {tag: stateTag(1)})
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

  describe('failure is not damage', () => {
    it('leaves what it could not look at open, and is not complete', async () => {
      const {repository} = await storeWithStates(4)
      const {findings, summary} = await checkSpied(repository, {
        before({name, subject}) {
          if (name === 'manifests.get' && subject === stateTag(2)) throw broken()
        },
      })
      expect(findings).to.have.length(1)
      expect(findings[0]).to.include({attempts: 5, kind: 'unreachable', status: 500, tag: stateTag(2)})
      expect(summary).to.include({complete: false, verdict: 'incomplete'})
      expect(exitCodeOf(summary)).to.equal(69)
      expect(summary.nextSteps[0]).to.contain('run gc-check again')
    })

    it('looks twice before it calls anything damage', async () => {
      const {repository} = await storeWithStates(4)
      for (const code of ['NOT_FOUND', 'REGISTRY', 'INTEGRITY'] as const) {
        const {findings, summary} = await checkSpied(repository, {
          before({name, subject}, count) {
            const isOnce = count === calls(name, subject)
            if (name === 'manifests.get' && subject === stateTag(2) && isOnce) throw new KlosetOciError(code, 'once')
          },
        })
        expect(findings.map(({kind}) => kind), code).to.deep.equal(['changed-while-reading'])
        expect(exitCodeOf(summary)).to.equal(0)
      }

      // The first call for this tag is the third get: CONFIG, state 1, state 2.
      function calls(name: string, subject: string): number {
        return name === 'manifests.get' && subject === stateTag(2) ? 3 : 0
      }
    })

    it('ends when the registry lets it in no longer', async () => {
      const {repository} = await storeWithStates(3)
      for (const code of ['UNAUTHORIZED', 'FORBIDDEN'] as const) {
        const error = await failureOf(
          checkSpied(repository, {
            before({name}) {
              if (name === 'blobs.resolve') throw new KlosetOciError(code, 'no')
            },
          }),
        )
        expect(error.code).to.equal(code)
      }
    })

    it('ends when nothing is answered any more, long before it has asked for everything', async () => {
      const {repository} = await storeWithStates(200)
      let calls = 0
      const error = await failureOf(
        checkSpied(
          repository,
          {
            before({name}) {
              if (name !== 'manifests.get') return
              calls += 1
              throw new KlosetOciError('UNREACHABLE', 'connection refused')
            },
          },
          {concurrency: 4},
        ),
      )
      expect(error.code).to.equal('UNREACHABLE')
      expect(calls).to.be.lessThan(40)
    })

    it('ends with the error of a list that cannot be read', async () => {
      const {repository} = await storeWithStates(3)
      for (const time of [1, 2]) {
        const error = await failureOf(
          checkSpied(repository, {
            before({name}, count) {
              if (name === 'tags' && count === time) throw new KlosetOciError('PROTOCOL', 'a short list')
            },
          }),
        )
        expect(error.code, `listing ${time}`).to.equal('PROTOCOL')
      }
    })

    it('ends when it is interrupted', async () => {
      const {repository} = await storeWithStates(50)
      const controller = new AbortController()
      const run = checkSpied(
        repository,
        {
          before({name}, count) {
            if (name === 'manifests.get' && count === 20) controller.abort()
          },
        },
        {signal: controller.signal},
      )
      expect((await failureOf(run)).code).to.equal('INTERRUPTED')
    })

    it('does not believe a list that leaves CONFIG out', async () => {
      const {repository} = await storeWithStates(1)
      const {repository: spied} = spyRepository(repository)
      spied.tags = async function* (options) {
        for await (const tag of repository.tags(options)) if (tag !== 'CONFIG') yield tag
      }

      const {findings, summary} = await collectGcCheck(spied, {clock})
      expect(findings.map(({kind}) => kind)).to.include('list-incomplete')
      expect(exitCodeOf(summary)).to.equal(69)
    })
  })

  describe('a store that changes under the check', () => {
    it('tells a ghost from a tag that was removed meanwhile', async () => {
      const {repository} = await storeWithStates(3)
      const manifest = await repository.manifests.resolve(stateTag(1))
      // Listed, and without a manifest for good.
      const {repository: spied} = spyRepository(repository, {
        async before({name, subject}, count) {
          if (name === 'manifests.get' && subject === stateTag(1)) {
            throw new KlosetOciError('NOT_FOUND', 'no manifest', {facts: {digest: manifest.digest, status: 404}})
          }

          // Removed after it was listed.
          if (name === 'manifests.get' && count === 3) await repository.manifests.untag(stateTag(3))
        },
      })
      const {findings, summary} = await collectGcCheck(spied, {clock})
      expect(findings.filter(({kind}) => kind !== 'unreferenced-blob').map(({kind, tag}) => [kind, tag])).to.deep.equal([
        ['changed-while-reading', stateTag(3)],
        ['manifest-missing', stateTag(1)],
      ])
      expect(findings.find(({kind}) => kind === 'manifest-missing')).to.include({status: 404})
      expect(summary.objects.state).to.equal(2)
    })

    it('looks at objects that appear, and believes their damage only when it stays', async () => {
      const {repository, store} = await storeWithStates(2)
      let isAdded = false
      const {repository: spied} = spyRepository(repository, {
        async before({name}, count) {
          if (name !== 'tags' || count !== 2 || isAdded) return
          isAdded = true
          await store.put('state', testMac(8), bufferSource(await sealed('state', Buffer.from('good'))))
          const bad = await sealed('state', Buffer.from('bad'))
          await store.put('state', testMac(9), bufferSource(bad))
          await repository.blobs.delete(digestOf(bad))
        },
      })
      const {findings, summary} = await collectGcCheck(spied, {clock})
      expect(findings.map(({kind, tag}) => [kind, tag])).to.deep.equal([['blob-missing', stateTag(9)]])
      expect(summary.objects.state).to.equal(4)
    })
  })

  describe('cost', () => {
    it('is a manifest and a blob HEAD for each object, and the shared config blob once', async () => {
      const {repository} = await storeWithStates(50)
      const {calls} = await checkSpied(repository, {})
      expect(countCalls(calls, 'manifests.get')).to.equal(51)
      expect(countCalls(calls, 'blobs.resolve')).to.equal(52)
      expect(calls.filter(({subject}) => subject === CONFIG_DESCRIPTOR.digest)).to.have.length(1)
      expect(countCalls(calls, 'blobs.fetch')).to.equal(1)
      expect(countCalls(calls, 'tags')).to.equal(2)
    })

    it('keeps to the concurrency it was given', async () => {
      const {repository} = await storeWithStates(60)
      let running = 0
      let most = 0
      const {repository: spied} = spyRepository(repository)
      const {get} = spied.manifests
      spied.manifests.get = async (...args) => {
        running += 1
        most = Math.max(most, running)
        await new Promise<void>((resolve) => {
          setImmediate(resolve)
        })
        try {
          return await get(...args)
        } finally {
          running -= 1
        }
      }

      await collectGcCheck(spied, {clock, concurrency: 7})
      expect(most).to.equal(7)
    })

    it('reports its progress and has no summary before its end', async () => {
      const {repository} = await storeWithStates(5)
      const phases = new Map<string, number>()
      const run = gcCheck(repository, {clock, onProgress: ({done, phase}) => phases.set(phase, done)})
      expect(() => run.summary).to.throw(TypeError)
      for await (const found of run) expect.fail(found.message)
      expect(phases.get('tags')).to.equal(6)
      expect(run.summary.verdict).to.equal('clean')
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

async function unknownHashing(): Promise<Buffer> {
  return sealConfiguration({...configuration, hashing: {algorithm: 'BLAKE4', bits: 256}})
}
