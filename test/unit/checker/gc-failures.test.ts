import {expect} from 'chai'

import type {MemoryRepository} from '../../../src/registry/memory/repository.js'

import {collectGcCheck, gcCheck, type GcCheckOptions} from '../../../src/checker/gc-check.js'
import {exitCodeOf} from '../../../src/checker/summary.js'
import {KlosetOciError} from '../../../src/errors.js'
import {CONFIG_DESCRIPTOR} from '../../../src/kloset/object-manifest.js'
import {digestOf} from '../../../src/registry/digest.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {failureOf} from '../../helpers/failure.js'
import {testMac} from '../../helpers/macs.js'
import {countCalls, type SpyOptions, spyRepository} from '../../helpers/spy-repository.js'
import {stateOf, stateTag, storeWithStates, TEST_CLOCK} from '../../helpers/test-store.js'

async function checkSpied(repository: MemoryRepository, spy: SpyOptions, options: GcCheckOptions = {}) {
  const {calls, repository: spied} = spyRepository(repository, spy)
  return {calls, ...(await collectGcCheck(spied, {clock: TEST_CLOCK, ...options}))}
}

const broken = (status = 500) => new KlosetOciError('REGISTRY', `GET: ${status}`, {facts: {attempts: 5, status}})

describe('gcCheck and the registry', () => {
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
            // The first call for this tag is the third get: CONFIG, state 1, state 2.
            if (name === 'manifests.get' && subject === stateTag(2) && count === 3)
              throw new KlosetOciError(code, 'once')
          },
        })
        expect(
          findings.map(({kind}) => kind),
          code,
        ).to.deep.equal(['changed-while-reading'])
        expect(exitCodeOf(summary)).to.equal(0)
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

      const {findings, summary} = await collectGcCheck(spied, {clock: TEST_CLOCK})
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
      const {findings, summary} = await collectGcCheck(spied, {clock: TEST_CLOCK})
      expect(findings.filter(({kind}) => kind !== 'unreferenced-blob').map(({kind, tag}) => [kind, tag])).to.deep.equal(
        [
          ['changed-while-reading', stateTag(3)],
          ['manifest-missing', stateTag(1)],
        ],
      )
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
          await store.put('state', testMac(8), bufferSource(await stateOf([], 8)))
          const bad = await stateOf([], 9)
          await store.put('state', testMac(9), bufferSource(bad))
          await repository.blobs.delete(digestOf(bad))
        },
      })
      const {findings, summary} = await collectGcCheck(spied, {clock: TEST_CLOCK})
      expect(findings.map(({kind, tag}) => [kind, tag])).to.deep.equal([['blob-missing', stateTag(9)]])
      expect(summary.objects.state).to.equal(4)
    })
  })

  describe('cost', () => {
    it('is a manifest and a blob HEAD for each object, and the shared config blob once', async () => {
      const {repository} = await storeWithStates(50)
      const {calls} = await checkSpied(repository, {}, {states: false})
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

      await collectGcCheck(spied, {clock: TEST_CLOCK, concurrency: 7})
      expect(most).to.equal(7)
    })

    it('reports its progress and has no summary before its end', async () => {
      const {repository} = await storeWithStates(5)
      const phases = new Map<string, number>()
      const run = gcCheck(repository, {clock: TEST_CLOCK, onProgress: ({done, phase}) => phases.set(phase, done)})
      expect(() => run.summary).to.throw(TypeError)
      for await (const found of run) expect.fail(found.message)
      expect(Object.fromEntries(phases)).to.deep.equal({states: 5, storage: 13, tags: 6})
      expect(run.summary.verdict).to.equal('clean')
    })
  })
})
