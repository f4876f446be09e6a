import {expect} from 'chai'

import type {Finding} from '../../../../src/checker/findings.js'
import type {Mac} from '../../../../src/kloset/mac.js'

import {exitCodeOf} from '../../../../src/checker/summary.js'
import {type Tier} from '../../../../src/checker/verify/tier.js'
import {collectVerify} from '../../../../src/checker/verify/verify.js'
import {flipBit} from '../../../helpers/damage.js'
import {Replaceable} from '../../../helpers/golden-verify.js'
import {GOLDEN, type GoldenName} from '../../../helpers/hooks.js'
import {seeded} from '../../../helpers/random.js'
import {unlockedGolden} from '../../../helpers/unlocked.js'

const SEED = 20_260_101

/** Positions of each golden store in each of the tiers that look inside: with the digest tier's 2,000 and more. */
const POSITIONS = 125

/** What the damage of an object that was pushed again may be called. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  config: ['config-unreadable', 'envelope-invalid'],
  packfile: ['mac-mismatch', 'envelope-invalid'],
  state: ['mac-mismatch', 'envelope-invalid'],
}

function resourceOf(tag: string): string {
  if (tag === 'CONFIG') return 'config'
  return tag.startsWith('state-') ? 'state' : 'packfile'
}

async function verifyAround(
  {repository}: Replaceable,
  tag: string,
  {name, tier}: {readonly name: GoldenName; readonly tier: Tier},
): Promise<{readonly errors: readonly Finding[]; readonly exitCode: number}> {
  const {secret} = await unlockedGolden(name)
  const {findings, summary} = await collectVerify(repository, {
    ...(tag.startsWith('packfiles-') ? {macs: new Set([tag.slice(10) as Mac])} : {percent: 0}),
    map: false,
    secret,
    tier,
  })
  return {errors: findings.filter(({severity}) => severity === 'error'), exitCode: exitCodeOf(summary)}
}

describe('verify and damaged objects', function () {
  this.timeout(120_000)

  for (const name of GOLDEN) {
    for (const tier of ['mac', 'data'] as const) {
      it(`finds ${POSITIONS} flips and cuts in ${name}, re-pushed with digests that agree, in the ${tier} tier`, async () => {
        const {objects} = await unlockedGolden(name)
        const store = await Replaceable.golden(name)
        const draw = seeded(SEED + tier.length + name.length)
        const tags = [...objects.keys()]
        for (let number = 0; number < POSITIONS; number++) {
          const tag = tags[number % tags.length]!
          const bytes = objects.get(tag)!
          const cut = draw.below(4) === 0
          const at = cut ? draw.below(bytes.length) : draw.below(bytes.length * 8)
          const what = `${tag} ${cut ? 'cut at byte' : 'flipped at bit'} ${at}`
          await store.replace(tag, cut ? bytes.subarray(0, at) : flipBit(bytes, at))
          const {errors, exitCode} = await verifyAround(store, tag, {name, tier})
          await store.restore(tag)
          expect(exitCode, what).to.equal(65)
          expect(
            errors.map((one) => one.tag).every((one) => one === tag),
            what,
          ).to.equal(true)
          const about = errors.filter(({kind}) => kind !== 'blob-corrupt').map(({kind}) => kind)
          expect(about, what).to.have.length(1)
          expect(NAMES[resourceOf(tag)], what).to.include(about[0])
        }

        const {errors, exitCode} = await verifyAround(store, tags[1]!, {name, tier})
        expect([errors.length, exitCode], 'restored').to.deep.equal([0, 0])
      })
    }
  }
})
