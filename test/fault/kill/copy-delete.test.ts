import {expect} from 'chai'

import {tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {copyStore, deleteTargetOnly} from '../../../src/transfer/index.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {killEverywhere} from '../../helpers/kill/everywhere.js'
import {DeadError, type Life} from '../../helpers/kill/life.js'
import {looking, type Site, SITES, strideOf} from '../../helpers/kill/sites.js'
import {testMac} from '../../helpers/macs.js'
import {expectWhole, objectsOf} from '../../helpers/store-shape.js'
import {knows, packfileOf, stateOf, stateTag, storeWithPackfiles, TEST_CLOCK} from '../../helpers/test-store.js'

const made = await storeWithPackfiles(1)
const [old, fresh] = await Promise.all(
  ['deleted at the source', 'new at the source'].map(async (text) => packfileOf(text)),
)

/** Of the same store: the source has deleted a packfile with its state since the target was made, and got another. */
async function fill(site: Site): Promise<void> {
  const put = async (name: string, {bytes, mac}: NonNullable<typeof old>, state: number) =>
    looking(site, name, async (repository) => {
      for await (const {failure} of copyStore(made.repository, repository)) expect(failure).to.equal(undefined)
      const store = new KlosetStore(repository, {clock: TEST_CLOCK})
      await store.put('packfile', mac, bufferSource(bytes))
      await store.put('state', testMac(state), bufferSource(await stateOf([knows(mac)], state)))
    })
  await put('target', old!, 2)
  await put('source', fresh!, 3)
}

async function copyAndDelete(site: Site, life: Life): Promise<void> {
  await site.visit(life, async (open) => {
    const [from, to] = [await open('source'), await open('target')]
    try {
      const copy = copyStore(from, to, {clock: TEST_CLOCK, concurrency: 2})
      for await (const {failure} of copy) if (failure) throw new Error(failure.message)
      const options = {apply: true, resources: ['packfile', 'state']} as const
      for await (const {failure} of deleteTargetOnly(copy, from, to, options)) {
        if (failure) throw new Error(failure.message)
      }
    } finally {
      await from.close()
      await to.close()
    }
  })
  if (life.isOver) throw new DeadError()
}

for (const kind of SITES) {
  describe(`copy --delete ${kind.name}, killed at every request`, () => {
    it('leaves a whole target with all that the source has or had in common with it, and ends as the source', async () => {
      const makeSite = await kind.prepare(fill)
      const expected = await objectsOf(made.repository)
      const tried = await killEverywhere<Site>(
        {
          async afterDeath(site, point) {
            await looking(site, 'target', async (target) => {
              await expectWhole(target, point)
              const there = await objectsOf(target)
              expect(there, point).to.include(expected)
              // A state goes before what it tells of.
              if (stateTag(2) in there) expect(there, point).to.have.property(tagOf('packfile', old!.mac))
            })
          },
          begin: makeSite,
          async contents(site) {
            const source = await looking(site, 'source', objectsOf)
            expect(await looking(site, 'target', objectsOf)).to.deep.equal(source)
            return source
          },
          end: async (site) => site.close(),
          work: copyAndDelete,
        },
        {stride: strideOf(kind)},
      )
      expect(tried).to.be.at.least(1)
    })
  })
}
