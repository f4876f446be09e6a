import {expect} from 'chai'

import type {Repository} from '../../../src/registry/interfaces.js'
import type {RepairPlan} from '../../../src/repair/index.js'

import {hasCode} from '../../../src/errors.js'
import {tagOf} from '../../../src/kloset/resource.js'
import {KlosetStore} from '../../../src/kloset/store.js'
import {planRepair} from '../../../src/repair/index.js'
import {planPrune} from '../../../src/repair/prune.js'
import {bufferSource} from '../../../src/util/content-source.js'
import {testMac} from '../../helpers/macs.js'
import {spyRepository} from '../../helpers/spy-repository.js'
import {lockOf, MINUTE, NOW, storeWithPackfiles, TEST_CLOCK} from '../../helpers/test-store.js'

const MAC = testMac(7)
const TAG = tagOf('lock', MAC)

async function putLock(repository: Repository, minutesAgo: number): Promise<void> {
  const clock = {...TEST_CLOCK, now: () => NOW - minutesAgo * MINUTE}
  await new KlosetStore(repository, {clock}).put('lock', MAC, bufferSource(await lockOf(minutesAgo)))
}

const PLANS: Readonly<Record<string, (repository: Repository) => Promise<RepairPlan>>> = {
  async prune(repository) {
    return (await planPrune(repository, {clock: TEST_CLOCK})).plan
  },
  repair: async (repository) => planRepair(repository, {clock: TEST_CLOCK, sources: [], async unlock() {}}),
}

describe('stale locks that are renewed while a plan is made', () => {
  for (const [name, make] of Object.entries(PLANS)) {
    it(`stay out of the plan of a ${name}, whenever it happens`, async () => {
      let kept = 0
      for (let at = 1; at <= 50; at++) {
        const {repository} = await storeWithPackfiles(1)
        await putLock(repository, 60)
        // The lock is renewed right before the plan's request number `at` for its tag.
        let requests = 0
        const spied = spyRepository(repository, {
          async before({subject}) {
            if (subject === TAG && ++requests === at) await putLock(repository, 0)
          },
        })
        let plan: RepairPlan | undefined
        try {
          plan = await make(spied.repository)
        } catch (error) {
          // A prune does not plan while anybody works on the store.
          if (!hasCode(error, 'LOCKED')) throw error
        }

        const step = plan?.steps.find(({tag}) => tag === TAG)
        if (requests < at) {
          expect(step?.action.kind, 'of a lock that was not renewed').to.equal('remove-tag')
          break
        }

        expect(step, `renewed before request ${at}, and planned away`).to.equal(undefined)
        kept += 1
      }

      expect(kept).to.be.at.least(3)
    })
  }
})
