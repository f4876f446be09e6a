import {expect} from 'chai'

import type {Finding} from '../../../../src/checker/findings.js'

import {collectVerify} from '../../../../src/checker/verify/verify.js'
import {BLOB_TYPES} from '../../../../src/kloset/blob-type.js'
import {HEADER_BYTES} from '../../../../src/kloset/envelope.js'
import {readAtOf, readPackfileIndex} from '../../../../src/kloset/packfile.js'
import {flipBit} from '../../../helpers/damage.js'
import {Replaceable} from '../../../helpers/golden-verify.js'
import {GOLDEN} from '../../../helpers/hooks.js'
import {type Unlocked, unlockedGolden} from '../../../helpers/unlocked.js'

/** The first blob of a type, and the packfile that has it. */
async function placeOf({codec, hasher, objects}: Unlocked, type: number) {
  for (const [tag, bytes] of objects) {
    if (!tag.startsWith('packfiles-')) continue
    const index = await readPackfileIndex({codec, hasher, readAt: readAtOf(bytes, tag), size: bytes.length, what: tag})
    const blob = [...index].find((one) => one.type === type)
    if (blob) return {blob, bytes, tag}
  }

  throw new Error(`no blob of type ${type}`)
}

const errorsIn = (findings: readonly Finding[]) => findings.filter(({severity}) => severity === 'error')

describe('what a damage costs', () => {
  for (const name of GOLDEN) {
    it(`is told by snapshot and path in ${name}: of a chunk, a file's entry, a header`, async () => {
      const golden = await unlockedGolden(name)
      const store = await Replaceable.golden(name)
      for (const type of [BLOB_TYPES.chunk, BLOB_TYPES.vfsEntry, BLOB_TYPES.snapshot]) {
        // A header is named by an identifier: uncompressed and unencrypted, nothing says which bits of it are wrong.
        if (type === BLOB_TYPES.snapshot && name === 'plaintext-uncompressed') continue
        const {blob, bytes, tag} = await placeOf(golden, type)
        await store.replace(tag, flipBit(bytes, 8 * (HEADER_BYTES + blob.offset + Math.floor(blob.length / 2))))
        const {findings, summary} = await collectVerify(store.repository, {secret: golden.secret, tier: 'data'})
        await store.restore(tag)
        const errors = errorsIn(findings)
        expect(errors.map(({kind}) => kind).sort()).to.deep.equal(['blob-corrupt', 'mac-mismatch'])
        for (const found of errors) {
          expect(found.snapshots, found.kind).to.have.length.greaterThan(0)
          if (type === BLOB_TYPES.snapshot) expect(found.paths).to.include({complete: false})
          else expect(found.paths!.first[0], found.kind).to.match(/^\//)
        }

        expect(errors.find(({kind}) => kind === 'blob-corrupt')!.blob!.mac).to.equal(blob.mac)
        expect(summary.snapshots!.total).to.equal(2)
      }
    })

    it(`is everything that a lost packfile of ${name} held, and the snapshot whose state is lost`, async () => {
      const {objects, secret} = await unlockedGolden(name)
      for (const tag of objects.keys()) {
        if (tag === 'CONFIG') continue
        const {repository} = await Replaceable.golden(name)
        await repository.manifests.untag(tag)
        const {findings} = await collectVerify(repository, {secret, tier: 'data'})
        const errors = errorsIn(findings)
        expect(errors.map(({kind, tag: of}) => [kind, of])).to.deep.equal([['tag-missing', tag]])
        expect(errors[0]!.snapshots).to.have.length.greaterThan(0)
        if (tag.startsWith('state-')) expect(errors[0]!.snapshots).to.include(tag.slice(6))
      }
    })

    it(`is nothing where nothing is wrong with ${name}, in any tier, and unknown without the passphrase`, async () => {
      const {objects, secret} = await unlockedGolden(name)
      const store = await Replaceable.golden(name)
      for (const tier of ['digest', 'mac', 'data'] as const) {
        const {findings, summary} = await collectVerify(store.repository, {secret, tier})
        expect([findings, summary.verdict, summary.tier]).to.deep.equal([[], 'clean', tier])
      }

      if (!secret) return
      const tag = [...objects.keys()].find((one) => one.startsWith('packfiles-'))!
      await store.replace(tag, objects.get(tag)!.subarray(0, 20))
      const {findings, summary} = await collectVerify(store.repository)
      expect(summary.tier).to.equal('digest')
      expect(errorsIn(findings).map(({kind, snapshots}) => [kind, snapshots])).to.deep.equal([
        ['envelope-invalid', 'unknown'],
      ])
    })
  }
})
