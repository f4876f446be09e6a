import {expect} from 'chai'
import {copyFileSync, readFileSync, rmSync} from 'node:fs'
import {join} from 'node:path'

import {KlosetStore} from '../../../src/kloset/store.js'
import {MemoryHost} from '../../../src/registry/memory/repository.js'
import {copyStore, MirrorLedger, mirrorStore} from '../../../src/transfer/index.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {scratchDir} from '../../helpers/hooks.js'
import {killEverywhere} from '../../helpers/kill/everywhere.js'
import {DeadError, Life} from '../../helpers/kill/life.js'
import {mortalRepository} from '../../helpers/kill/repository.js'
import {
  IN_A_FOLDER,
  IN_A_REGISTRY,
  IN_MEMORY,
  looking,
  named,
  type Open,
  type Site,
  strideOf,
} from '../../helpers/kill/sites.js'
import {testMac} from '../../helpers/macs.js'
import {contentsOf, expectWhole, objectsOf} from '../../helpers/store-shape.js'
import {knows, packfileOf, stateOf, storeWithPackfiles, TEST_CLOCK} from '../../helpers/test-store.js'

const source = await storeWithPackfiles(2)

/** Tags that a ledger knows of. */
function known(path: string): string[] {
  const events = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as {event: string; tag?: string})
  return [...new Set(events.flatMap(({event, tag}) => (event === 'object' && tag !== undefined ? [tag] : [])))].sort()
}

interface World {
  readonly path: string
  readonly site: Site
}

const later = await packfileOf('put after the first run of the mirror')

/** A source that an earlier run has brought whole; since then it has got a packfile and a state, and lost a packfile. */
async function fill(site: Site, path: string): Promise<void> {
  await looking(site, 'source', async (repository) => {
    for await (const {failure} of copyStore(source.repository, repository)) expect(failure).to.equal(undefined)
    await mirror({path, site}, new Life(), 0)
    const store = new KlosetStore(repository, {clock: TEST_CLOCK})
    await store.put('packfile', later.mac, bufferSource(later.bytes))
    await store.put('state', testMac(2), bufferSource(await stateOf([knows(later.mac)], 2)))
    await store.delete('packfile', source.packfiles[0]!)
  })
}

/** A ledger is of one mirror: its places have the same names in every world. */
const opened = async (open: Open, name: string) => named(await open(name), `oci://site.example/${name}`)

/** @param gone objects that the source is to have lost */
async function mirror({path, site}: World, life: Life, gone: number): Promise<void> {
  await site.visit(life, async (open) => {
    const ledger = await MirrorLedger.open(path, TEST_CLOCK)
    const [from, to] = [await opened(open, 'source'), await opened(open, 'target')]
    try {
      const run = mirrorStore(from, to, ledger, {clock: TEST_CLOCK, concurrency: 2})
      for await (const event of run) if ('failure' in event) throw new Error(event.failure?.message)
      expect(run.summary).to.include({complete: true})
      expect(run.summary.gone.unexplained).to.equal(gone)
    } finally {
      await from.close()
      await to.close()
      await ledger.close()
    }
  })
  if (life.isOver) throw new DeadError()
}

// It deletes nothing: how a registry deletes does not matter.
for (const kind of [IN_MEMORY, IN_A_REGISTRY, IN_A_FOLDER]) {
  describe(`a later run of mirror ${kind.name}, killed at every request`, () => {
    it('loses nothing at the target, and tells what the source has lost until somebody hears it', async () => {
      const first = join(scratchDir('ledger'), 'mirror.jsonl')
      let wasThere: Record<string, string> = {}
      const makeSite = await kind.prepare(async (site) => {
        rmSync(first, {force: true})
        await fill(site, first)
        wasThere = await looking(site, 'target', objectsOf)
      })
      const tried = await killEverywhere<World>(
        {
          async afterDeath({site}, point) {
            await looking(site, 'target', async (target) => {
              await expectWhole(target, point)
              expect(await objectsOf(target), point).to.include(wasThere)
            })
          },
          async begin() {
            const site = await makeSite()
            const path = join(scratchDir('ledger'), 'mirror.jsonl')
            copyFileSync(first, path)
            return {path, site}
          },
          contents: async ({path, site}) => ({
            ledger: known(path),
            target: await looking(site, 'target', contentsOf),
          }),
          end: async ({site}) => site.close(),
          work: async (world, life) => mirror(world, life, 1),
        },
        {deaths: ['before', 'middle'], stride: strideOf(kind)},
      )
      expect(tried).to.be.at.least(1)
    })
  })
}

describe('mirror, killed at every request', () => {
  it('leaves a sound target, and in the end a ledger that knows everything', async () => {
    const tried = await killEverywhere(
      {
        async afterDeath({host}, point) {
          const target = host.repository('target')
          if (Object.keys(await contentsOf(target)).length > 0) await expectWhole(target, point)
        },
        begin: async () => ({host: new MemoryHost(), path: join(scratchDir('ledger'), 'mirror.jsonl')}),
        contents: async ({host, path}) => ({ledger: known(path), target: await contentsOf(host.repository('target'))}),
        async work({host, path}, life) {
          const ledger = await MirrorLedger.open(path, TEST_CLOCK)
          try {
            const target = mortalRepository(host.repository('target'), life)
            const mirror = mirrorStore(mortalRepository(source.repository, life), target, ledger, {clock: TEST_CLOCK})
            for await (const event of mirror) if ('failure' in event) throw new Error(event.failure?.message)
            expect(mirror.summary.complete).to.equal(true)
          } finally {
            await ledger.close()
          }
        },
      },
      {deaths: ['before']},
    )
    expect(tried).to.be.greaterThan(20)
  })
})
