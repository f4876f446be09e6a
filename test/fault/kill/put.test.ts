import {expect} from 'chai'
import {join} from 'node:path'

import type {Repository} from '../../../src/registry/interfaces.js'

import {sealConfiguration} from '../../../src/kloset/configuration.js'
import {createStore} from '../../../src/kloset/create.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {openLayout} from '../../../src/registry/layout/open-layout.js'
import {MemoryHost} from '../../../src/registry/memory/repository.js'
import {openRepository} from '../../../src/registry/open.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {FakeRegistry} from '../../helpers/fake-registry.js'
import {scratchDir} from '../../helpers/hooks.js'
import {onMortalDisk} from '../../helpers/kill/disk.js'
import {killEverywhere} from '../../helpers/kill/everywhere.js'
import {DEATHS} from '../../helpers/kill/life.js'
import {MortalProxy} from '../../helpers/kill/proxy.js'
import {mortalRepository} from '../../helpers/kill/repository.js'
import {testMac} from '../../helpers/macs.js'
import {contentsOf, expectWhole} from '../../helpers/store-shape.js'
import {CONFIGURATION, knows, packfileOf, stateOf, TEST_CLOCK} from '../../helpers/test-store.js'

/** A store begins whole, with one packfile; a second one and the states of both are put. */
const before = await packfileOf('there before')
const packfile = await packfileOf('put while the process is killed '.repeat(50))
const state = await stateOf([knows(before.mac), knows(packfile.mac)])
const config = await sealConfiguration(CONFIGURATION)

async function prepare(repository: Repository): Promise<void> {
  const store = await createStore(repository, config, {clock: TEST_CLOCK})
  await store.put('packfile', before.mac, bufferSource(before.bytes))
}

async function put(repository: Repository): Promise<void> {
  const store = new KlosetStore(repository, {clock: TEST_CLOCK})
  await store.put('packfile', packfile.mac, bufferSource(packfile.bytes), {durable: true})
  await store.put('state', testMac(1), bufferSource(state), {durable: true})
}

const open = async (dir: string) => openLayout(dir, {clock: TEST_CLOCK})

describe('put, killed at every request', () => {
  it('leaves a whole store in memory, and ends as if nothing had happened', async () => {
    const tried = await killEverywhere(
      {
        async afterDeath(host, point) {
          await expectWhole(host.repository('store'), point)
        },
        async begin() {
          const host = new MemoryHost()
          await prepare(host.repository('store'))
          return host
        },
        contents: async (host) => contentsOf(host.repository('store')),
        work: async (host, life) => put(mortalRepository(host.repository('store'), life)),
      },
      {deaths: DEATHS},
    )
    expect(tried).to.be.greaterThan(15)
  })

  it('leaves a whole store in a registry', async () => {
    const tried = await killEverywhere(
      {
        async afterDeath(fake, point) {
          const repository = await openRepository(`oci://${fake.host}/store`)
          await expectWhole(repository, point).finally(async () => repository.close())
        },
        async begin() {
          const fake = await FakeRegistry.start()
          const repository = await openRepository(`oci://${fake.host}/store`)
          await prepare(repository).finally(async () => repository.close())
          return fake
        },
        async contents(fake) {
          expect(fake.violations).to.deep.equal([])
          const repository = await openRepository(`oci://${fake.host}/store`)
          return contentsOf(repository).finally(async () => repository.close())
        },
        end: async (fake) => fake.stop(),
        async work(fake, life) {
          const proxy = await MortalProxy.start(fake.host, life)
          const repository = await openRepository(`oci://${proxy.host}/store`, {retry: {attempts: 1}})
          try {
            await put(repository)
          } finally {
            await repository.close()
            await proxy.close()
          }
        },
      },
      {deaths: DEATHS},
    )
    expect(tried).to.be.greaterThan(15)
  })

  it('leaves a whole store in a directory, at every change of the disk', async () => {
    await killEverywhere<string>(
      {
        async afterDeath(dir, point) {
          const repository = await open(dir)
          await expectWhole(repository, point).finally(async () => repository.close())
        },
        async begin() {
          const dir = join(scratchDir('kill'), 'store')
          const repository = await openLayout(dir, {clock: TEST_CLOCK, create: true})
          await prepare(repository).finally(async () => repository.close())
          return dir
        },
        async contents(dir) {
          const repository = await open(dir)
          return contentsOf(repository).finally(async () => repository.close())
        },
        async work(dir, life) {
          await onMortalDisk(life, async () => {
            const repository = await open(dir)
            await put(repository).finally(async () => repository.close())
          })
        },
      },
      {deaths: ['before', 'after']},
    )
  })
})
