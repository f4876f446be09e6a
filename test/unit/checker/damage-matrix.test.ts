import {expect} from 'chai'
import {readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import type {Finding} from '../../../src/checker/findings.js'
import type {Digest} from '../../../src/registry/digest.js'

import {collectGcCheck, type GcCheckOptions} from '../../../src/checker/gc-check.js'
import {exitCodeOf} from '../../../src/checker/summary.js'
import {openLayout} from '../../../src/registry/layout/open-layout.js'
import {flipBit} from '../../helpers/damage.js'
import {goldenObjects} from '../../helpers/golden.js'
import {GOLDEN, goldenCopy, type GoldenName} from '../../helpers/hooks.js'

interface IndexJson {
  manifests: {annotations: Record<string, string>; digest: string; size: number}[]
}

/** A golden store's folder, to be damaged. */
class Patient {
  readonly root: string

  constructor(readonly name: GoldenName) {
    this.root = goldenCopy(name)
  }

  async check(options: GcCheckOptions = {}) {
    const repository = await openLayout(this.root, {readOnly: true})
    try {
      return await collectGcCheck(repository, {clock, ...options})
    } finally {
      await repository.close()
    }
  }

  /** Changes a blob's file, or removes it, for as long as `use` runs. */
  async damaged<T>(digest: string, change: (bytes: Buffer) => Buffer | undefined, use: () => Promise<T>): Promise<T> {
    const path = this.path(digest)
    const bytes = readFileSync(path)
    const changed = change(bytes)
    if (changed) writeFileSync(path, changed)
    else rmSync(path)
    try {
      return await use()
    } finally {
      writeFileSync(path, bytes)
    }
  }

  digests(): string[] {
    return readdirSync(join(this.root, 'blobs/sha256'))
  }

  editIndex(edit: (index: IndexJson) => void): void {
    const path = join(this.root, 'index.json')
    const index = JSON.parse(readFileSync(path, 'utf8')) as IndexJson
    edit(index)
    writeFileSync(path, JSON.stringify(index))
  }

  path(digest: string): string {
    return join(this.root, 'blobs/sha256', digest.replace('sha256:', ''))
  }

  async retag(tag: string, manifest: Digest): Promise<void> {
    const repository = await openLayout(this.root, {durable: false})
    await repository.manifests.tag(await repository.manifests.resolve(manifest), tag)
    await repository.close()
  }
}

/** Long after any of the stores was written. */
const clock = {now: () => Date.UTC(2040, 0, 1), async sleep() {}}

const errorsIn = (findings: readonly Finding[]) => findings.filter(({severity}) => severity === 'error')
const kindsOf = (findings: readonly Finding[]) => findings.map(({kind}) => kind)

describe('damage matrix', function () {
  this.timeout(120_000)

  for (const name of GOLDEN) {
    describe(name, () => {
      const isEncrypted = name.startsWith('encrypted')
      const objects = goldenObjects(name)
      const byLayer = new Map(objects.map((object) => [object.layer.slice(7), object]))
      const byManifest = new Map(objects.map((object) => [object.manifest.slice(7), object]))

      /** What is said when a blob of the golden store has gone or changed. */
      const expectation = (digest: string) => byManifest.get(digest) ?? byLayer.get(digest)

      it('names the tag of every blob and manifest that is removed', async () => {
        const patient = new Patient(name)
        for (const digest of patient.digests()) {
          const {findings, summary} = await patient.damaged(
            digest,
            () => {},
            async () => patient.check(),
          )
          const errors = errorsIn(findings)
          expect(errors, digest).to.have.length(1)
          const [error] = errors
          const object = expectation(digest)
          if (object) {
            expect(error).to.include({
              kind: byManifest.has(digest) ? 'manifest-missing' : 'blob-missing',
              tag: object.tag,
            })
            expect(error!.message).to.contain(object.tag)
          } else {
            expect(error).to.include({count: objects.length, kind: 'config-blob-missing'})
          }

          expect(exitCodeOf(summary)).to.equal(65)
          expect(summary.complete).to.equal(true)
          expect(summary.nextSteps[0]).to.match(/stop what cleans up, .* in the folder/)
        }
      })

      it('names the tag of every object that was cut short, without a download', async () => {
        const patient = new Patient(name)
        for (const digest of patient.digests()) {
          const size = readFileSync(patient.path(digest)).length
          const {findings, summary} = await patient.damaged(
            digest,
            (bytes) => bytes.subarray(0, -1),
            async () => patient.check(),
          )
          const errors = errorsIn(findings)
          const object = expectation(digest)
          if (object && byManifest.has(digest)) {
            expect(errors[0]).to.include({kind: 'manifest-corrupt', tag: object.tag})
          } else {
            expect(errors[0]).to.include({expected: size, found: size - 1, kind: 'size-mismatch'})
            if (object) expect(errors[0]).to.include({tag: object.tag})
          }

          expect(exitCodeOf(summary), digest).to.equal(65)
        }
      })

      it('names the tag of every object with one bit flipped, by a deep check', async () => {
        const patient = new Patient(name)
        for (const digest of patient.digests()) {
          const {findings, summary} = await patient.damaged(
            digest,
            (bytes) => flipBit(bytes, Math.floor((bytes.length * 8 * 7) / 11)),
            async () => patient.check({deep: true}),
          )
          const [error, ...others] = errorsIn(findings)
          expect(others, digest).to.deep.equal([])
          const object = expectation(digest)
          expect(error!.kind).to.equal(byManifest.has(digest) ? 'manifest-corrupt' : 'digest-mismatch')
          if (object) expect(error!.tag).to.equal(object.tag)
          expect(exitCodeOf(summary)).to.equal(65)
        }
      })

      it('names the tag whose manifest states a wrong size, and only warns of one that states none', async () => {
        const patient = new Patient(name)
        for (const {bytes, manifest: original, tag} of objects) {
          for (const size of [bytes.length + 1, bytes.length - 1, 1, 0]) {
            const repository = await openLayout(patient.root, {durable: false})
            const {bytes: manifest, mediaType} = await repository.manifests.get(tag)
            const json = JSON.parse(Buffer.from(manifest).toString()) as {layers: {size: number}[]}
            json.layers[0]!.size = size
            await repository.manifests.push({bytes: Buffer.from(JSON.stringify(json)), mediaType}, {tag})
            await repository.close()
            const {findings, summary} = await patient.check()
            await patient.retag(tag, original)
            const found = findings.find((one) => one.tag === tag && one.kind.startsWith('size-'))
            if (size === 0) expect([found?.kind, exitCodeOf(summary)]).to.deep.equal(['size-unstated', 0])
            else {
              expect(found).to.include({expected: size, found: bytes.length, kind: 'size-mismatch'})
              expect(exitCodeOf(summary)).to.equal(65)
            }
          }
        }
      })

      it('tells of every tag that was removed with its index entry', async () => {
        for (const {tag} of objects) {
          const patient = new Patient(name)
          patient.editIndex((index) => {
            index.manifests = index.manifests.filter(
              ({annotations}) => annotations['org.opencontainers.image.ref.name'] !== tag,
            )
          })
          const {findings, summary} = await patient.check()
          // Of an encrypted store the name of a packfile cannot be computed: that one of its kind lost its tag can.
          const lost = findings.find(({kind}) => kind === 'untagged-object')
          expect(lost, tag).to.not.equal(undefined)
          expect(kindsOf(findings)).to.not.include('unreferenced-blob')
          const resource = tag === 'CONFIG' ? 'config' : tag.startsWith('state-') ? 'state' : 'packfile'
          expect(lost!.object!.resource).to.equal(resource)
          if (tag === 'CONFIG') expect(kindsOf(findings)).to.include('config-missing')
          if (tag !== 'CONFIG' && !isEncrypted) {
            expect(errorsIn(findings).map((one) => [one.kind, one.tag])).to.deep.equal([['tag-missing', tag]])
          }

          if (tag === 'CONFIG' || !isEncrypted) expect(exitCodeOf(summary)).to.equal(65)
          if (tag === 'CONFIG' || (resource === 'packfile' && !isEncrypted)) {
            expect(lost!.tag).to.equal(tag)
          }
        }
      })

      it('tells of every tag that lost its name and kept its manifest', async () => {
        for (const {manifest, tag} of objects) {
          const patient = new Patient(name)
          patient.editIndex((index) => {
            for (const entry of index.manifests) {
              if (entry.annotations['org.opencontainers.image.ref.name'] === tag) entry.annotations = {}
            }
          })
          const {findings} = await patient.check()
          expect(findings.find(({kind}) => kind === 'untagged-object')?.digest, tag).to.equal(manifest)
        }
      })

      it('names both tags of two objects whose contents were swapped, where the key is known', async () => {
        const packfiles = objects.filter(({tag}) => tag.startsWith('packfiles-')).slice(0, 2)
        const patient = new Patient(name)
        patient.editIndex((index) => {
          const entries = packfiles.map(({manifest}) => index.manifests.find(({digest}) => digest === manifest)!)
          const [one, two] = entries.map(({annotations}) => annotations)
          entries[0]!.annotations = two!
          entries[1]!.annotations = one!
        })
        const {findings} = await patient.check({deep: true})
        const wrong = findings.filter(({kind}) => kind === 'name-mismatch').map(({tag}) => tag)
        const expected = isEncrypted ? [] : packfiles.map(({tag}) => tag)
        expect(wrong.sort()).to.deep.equal(expected.sort())
      })

      it('names the tag that holds an object of another kind', async () => {
        const state = objects.find(({tag}) => tag.startsWith('state-'))!
        const packfile = objects.find(({tag}) => tag.startsWith('packfiles-'))!
        const patient = new Patient(name)
        patient.editIndex((index) => {
          const source = index.manifests.find(({digest}) => digest === packfile.manifest)!
          const target = index.manifests.find(({digest}) => digest === state.manifest)!
          Object.assign(target, {digest: source.digest, size: source.size})
        })
        const {findings} = await patient.check({deep: true})
        const found = findings.find(({kind}) => kind === 'type-mismatch')
        expect(found).to.include({expected: 'state', found: 'packfile', tag: state.tag})
        expect(kindsOf(findings)).to.include('shared-digest')
      })

      it('says that everything is gone when everything is', async () => {
        const patient = new Patient(name)
        for (const digest of patient.digests()) rmSync(patient.path(digest))
        const {findings, summary} = await patient.check()
        const ghosts = findings.filter(({kind}) => kind === 'manifest-missing').map(({tag}) => tag)
        expect(ghosts.sort()).to.deep.equal(objects.map(({tag}) => tag).sort())
        expect(exitCodeOf(summary)).to.equal(65)
      })
    })
  }
})
