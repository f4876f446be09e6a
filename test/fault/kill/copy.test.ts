import {expect} from 'chai'
import {join} from 'node:path'

import type {Repository} from '../../../src/registry/interfaces.js'

import {collectGcCheck} from '../../../src/checker/gc-check.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {openLayout} from '../../../src/registry/layout/open-layout.js'
import {MemoryHost, memoryRepository} from '../../../src/registry/memory/repository.js'
import {openRepository} from '../../../src/registry/open.js'
import {copyStore} from '../../../src/transfer/index.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {FakeRegistry} from '../../helpers/fake-registry.js'
import {scratchDir} from '../../helpers/hooks.js'
import {onMortalDisk} from '../../helpers/kill/disk.js'
import {killEverywhere} from '../../helpers/kill/everywhere.js'
import {MortalProxy} from '../../helpers/kill/proxy.js'
import {mortalRepository} from '../../helpers/kill/repository.js'
import {testMac} from '../../helpers/macs.js'
import {contentsOf, expectWhole} from '../../helpers/store-shape.js'
import {knows, packfileOf, stateOf, storeWithPackfiles, TEST_CLOCK} from '../../helpers/test-store.js'

/** A source of two packfiles and two states. What is killed before a request is as what is killed after the one before. */
const source = await storeWithPackfiles(1)
/** Of a time when it had one packfile and no state. */
const early = memoryRepository('early')
for await (const {status} of copyStore(source.repository, early, {resources: ['packfile']}))
  expect(status).to.equal('copied')
const later = await packfileOf('a longer one '.repeat(40))
await source.store.put('packfile', later.mac, bufferSource(later.bytes))
await source.store.put('state', testMac(2), bufferSource(await stateOf([knows(later.mac)], 2)))
const expected = await contentsOf(source.repository)

/** What the target has from an earlier copy: CONFIG, and a packfile whose content has been lost since. */
async function prepare(target: Repository): Promise<void> {
  for await (const {status} of copyStore(early, target, {resources: ['packfile']})) expect(status).to.equal('copied')
  const {digest} = await new KlosetStore(target).stat('packfile', source.packfiles[0]!)
  await target.blobs.delete(digest)
}

async function copy(from: Repository, to: Repository): Promise<void> {
  const run = copyStore(from, to, {clock: TEST_CLOCK, concurrency: 2})
  for await (const {failure} of run) if (failure) throw new Error(failure.message)
  expect(run.summary.complete).to.equal(true)
}

/** Whatever is there is a sound store; what the source has is what it had. */
async function look(target: Repository, point: string): Promise<void> {
  const contents = await contentsOf(target).catch(() => {})
  if (contents === undefined || Object.keys(contents).length > 0) {
    // What had been lost before is lost until it is healed, and nothing else is.
    const {findings} = await collectGcCheck(target, {clock: TEST_CLOCK, deep: true})
    const errors = findings.filter(({severity}) => severity === 'error').map(({kind}) => kind)
    expect(
      errors.every((kind) => kind === 'blob-missing') && errors.length <= 1,
      `${point}: ${errors.join(' ')}`,
    ).to.equal(true)
  }
}

const open = async (dir: string, create = false) => openLayout(dir, {clock: TEST_CLOCK, create, durable: false})

describe('copy, killed at every request', () => {
  it('leaves a sound target in memory, and ends as one uninterrupted run does', async () => {
    const tried = await killEverywhere(
      {
        async afterDeath(host, point) {
          const target = host.repository('target')
          if (Object.keys(await contentsOf(target)).length > 0) await expectWhole(target, point)
        },
        begin: async () => new MemoryHost(),
        contents: async (host) => contentsOf(host.repository('target')),
        work: async (host, life) =>
          copy(mortalRepository(source.repository, life), mortalRepository(host.repository('target'), life)),
      },
      {deaths: ['before', 'middle']},
    )
    expect(tried).to.be.greaterThan(25)
    expect(await contentsOf(source.repository)).to.deep.equal(expected)
  })

  it('heals a target in a registry that had lost something, and loses nothing more', async () => {
    const tried = await killEverywhere(
      {
        async afterDeath(fake, point) {
          const repository = await openRepository(`oci://${fake.host}/target`)
          await look(repository, point).finally(async () => repository.close())
        },
        async begin() {
          const fake = await FakeRegistry.start()
          const repository = await openRepository(`oci://${fake.host}/target`)
          await prepare(repository).finally(async () => repository.close())
          return fake
        },
        async contents(fake) {
          expect(fake.violations).to.deep.equal([])
          const repository = await openRepository(`oci://${fake.host}/target`)
          return contentsOf(repository).finally(async () => repository.close())
        },
        end: async (fake) => fake.stop(),
        async work(fake, life) {
          const proxy = await MortalProxy.start(fake.host, life)
          const target = await openRepository(`oci://${proxy.host}/target`, {retry: {attempts: 1}})
          try {
            await copy(source.repository, target)
          } finally {
            await target.close()
            await proxy.close()
          }
        },
      },
      {deaths: ['before', 'middle']},
    )
    expect(tried).to.be.greaterThan(15)
  })

  it('leaves a sound directory, at every change of the disk', async () => {
    await killEverywhere<string>(
      {
        async afterDeath(dir, point) {
          // Killed while the directory was made: there is none, or an empty one.
          const repository = await open(dir, true)
          try {
            if (Object.keys(await contentsOf(repository)).length > 0) await expectWhole(repository, point)
          } finally {
            await repository.close()
          }
        },
        begin: async () => join(scratchDir('kill'), 'target'),
        async contents(dir) {
          const repository = await open(dir)
          return contentsOf(repository).finally(async () => repository.close())
        },
        async work(dir, life) {
          await onMortalDisk(life, async () => {
            const repository = await open(dir, true)
            await copy(source.repository, repository).finally(async () => repository.close())
          })
        },
      },
      {deaths: ['before']},
    )
  })
})
