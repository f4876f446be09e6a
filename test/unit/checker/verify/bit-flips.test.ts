import {expect} from 'chai'

import type {Finding, FindingKind} from '../../../../src/checker/findings.js'

import {exitCodeOf} from '../../../../src/checker/summary.js'
import {type Tier, TIERS} from '../../../../src/checker/verify/tier.js'
import {collectVerify} from '../../../../src/checker/verify/verify.js'
import {flipBit} from '../../../helpers/damage.js'
import {GOLDEN, type GoldenName} from '../../../helpers/hooks.js'
import {type Random, seeded} from '../../../helpers/random.js'
import {unlockedGolden} from '../../../helpers/unlocked.js'
import {WoundedStore} from '../../../helpers/wounded-store.js'

const SEED = 20_260_101

/** Positions in each golden store, spread over all of its objects: 2,000 together. */
const POSITIONS = 500

/** What is said of an object that lost its end where it lies. */
const CUT: readonly FindingKind[] = ['config-unreadable', 'digest-mismatch', 'envelope-invalid', 'size-mismatch']

/** What the damage of an object that was pushed again may be called. */
const PUSHED: Readonly<Record<string, readonly FindingKind[]>> = {
  CONFIG: ['config-unreadable', 'envelope-invalid'],
  packfiles: ['mac-mismatch', 'envelope-invalid'],
  state: ['mac-mismatch', 'envelope-invalid'],
}

interface Wound {
  readonly bytes: Buffer
  readonly isCut: boolean
  readonly tag: string
  readonly what: string
}

/** One bit of an object changed, or its end cut off. */
function woundOf(store: WoundedStore, tag: string, draw: Random): Wound {
  const bytes = store.bytesOf(tag)
  const isCut = draw.below(4) === 0
  const at = isCut ? draw.below(bytes.length) : draw.below(bytes.length * 8)
  const what = `${tag} ${isCut ? 'cut at byte' : 'flipped at bit'} ${at}`
  return {bytes: isCut ? bytes.subarray(0, at) : flipBit(bytes, at), isCut, tag, what}
}

/**
 * Rounds of one position in each object. CONFIG is damaged alone: without it nothing can be said of the others.
 */
function* rounds(store: WoundedStore, seed: number): Generator<readonly Wound[]> {
  const draw = seeded(seed)
  const others = store.tags.filter((tag) => tag !== 'CONFIG')
  for (let done = 0; done < POSITIONS; done += store.tags.length) {
    yield [woundOf(store, 'CONFIG', draw)]
    yield others.map((tag) => woundOf(store, tag, draw))
  }
}

/** Verifies the whole store; of the packfiles nothing where CONFIG alone is damaged. */
async function look(
  {repository}: WoundedStore,
  wounds: readonly Wound[],
  {name, tier}: {readonly name: GoldenName; readonly tier: Tier},
): Promise<{readonly errors: readonly Finding[]; readonly exitCode: number}> {
  const secret = tier === 'digest' ? undefined : (await unlockedGolden(name)).secret
  const percent = wounds.length === 1 ? 0 : undefined
  const {findings, summary} = await collectVerify(repository, {map: false, percent, secret, tier})
  return {errors: findings.filter(({severity}) => severity === 'error'), exitCode: exitCodeOf(summary)}
}

/** Every damaged object is named, by no other name than fits, and no other object is; what it costs comes beside it. */
function expectNamed(
  errors: readonly Finding[],
  wounds: readonly Wound[],
  kindsOf: (wound: Wound) => readonly FindingKind[],
): void {
  for (const wound of wounds) {
    const own = errors.filter(({kind, tag}) => tag === wound.tag && kind !== 'blob-corrupt').map(({kind}) => kind)
    expect(own, wound.what).to.not.deep.equal([])
    expect(kindsOf(wound), wound.what).to.include.members(own)
  }

  const damaged = new Set(wounds.map(({tag}) => tag))
  expect(errors.filter(({tag}) => !damaged.has(tag!))).to.deep.equal([])
}

describe('verify and damaged objects', function () {
  this.timeout(120_000)

  for (const name of GOLDEN) {
    it(`finds and names the damage at ${POSITIONS} positions of ${name}: on the disk by its digest, pushed again by its MAC`, async () => {
      const store = await WoundedStore.golden(name)
      let round = 0
      for (const wounds of rounds(store, SEED + name.length)) {
        const tier = TIERS[Math.floor(round++ / 2) % TIERS.length]!
        for (const {bytes, tag} of wounds) {
          if (tier === 'digest') store.rot(tag, bytes)
          else store.push(tag, bytes)
        }

        const {errors, exitCode} = await look(store, wounds, {name, tier})
        store.heal()
        expect(exitCode, wounds.map(({what}) => what).join(', ')).to.equal(65)
        expectNamed(errors, wounds, ({isCut, tag}) =>
          tier === 'digest' ? (isCut ? CUT : ['digest-mismatch']) : PUSHED[tag.split('-')[0]!]!,
        )
      }

      for (const tier of TIERS) {
        expect(await look(store, [], {name, tier}), tier).to.deep.equal({errors: [], exitCode: 0})
      }
    })
  }
})
