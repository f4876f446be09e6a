import {expect} from 'chai'
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {cli} from '../helpers/cli.js'
import {scratchDir} from '../helpers/hooks.js'
import {RepairRig} from '../helpers/repair-rig.js'

interface Document {
  readonly error?: {readonly code: string; readonly message: string}
  readonly exitCode: number
}

/** What a command says, and that it exits so. */
async function said(...args: string[]): Promise<readonly [number, string | undefined, string | undefined]> {
  const {json, status} = await cli([...args, '--json'])
  const {error, exitCode} = json<Document>()
  expect(exitCode).to.equal(status)
  return [exitCode, error?.code, error?.message]
}

describe('a file that is no ledger', () => {
  it('is not appended to: not by mirror, not by verify', async () => {
    const rig = new RepairRig('plaintext')
    const folder = scratchDir('ledger')
    const target = `oci-layout:${join(folder, 'mirror')}`
    const index = join(rig.root, 'index.json')
    const text = join(folder, 'notes.txt')
    writeFileSync(text, 'three in the morning\nno newline at the end')
    for (const file of [index, text, join(rig.root, 'oci-layout')]) {
      const before = readFileSync(file)
      const mirrored = await said('mirror', rig.location, target, '--ledger', file)
      expect(mirrored, file).to.deep.equal([64, 'INVALID_ARGUMENT', `${file}: is there and is no ledger of a mirror`])
      const verified = await said('verify', rig.location, '--tier', 'digest', '--resume', file)
      const none = `${file}: is there and is no ledger of verifications`
      expect(verified, file).to.deep.equal([64, 'INVALID_ARGUMENT', none])
      expect((await said('verify', 'ledger', file))[0], file).to.equal(64)
      expect(readFileSync(file).equals(before), file).to.equal(true)
    }
  })

  it('is one of the other kind, too, and none is one that was only begun', async () => {
    const rig = new RepairRig('plaintext')
    const folder = scratchDir('ledger')
    const target = `oci-layout:${join(folder, 'mirror')}`
    const [ofMirror, ofVerify, begun] = ['mirror', 'verify', 'begun'].map((name) => join(folder, `${name}.ledger`))
    expect((await said('mirror', rig.location, target, '--ledger', ofMirror!))[0]).to.equal(0)
    expect((await said('verify', rig.location, '--resume', ofVerify!))[0]).to.equal(0)
    expect((await said('verify', rig.location, '--resume', ofMirror!))[0]).to.equal(64)
    expect((await said('mirror', rig.location, target, '--ledger', ofVerify!))[0]).to.equal(64)
    // Cut off while its first line was written.
    for (const [ledger, args] of [
      [ofMirror!, ['mirror', rig.location, target, '--ledger', begun!]],
      [ofVerify!, ['verify', rig.location, '--resume', begun!]],
    ] as const) {
      for (const length of [0, 5, 40]) {
        writeFileSync(begun!, readFileSync(ledger).subarray(0, length))
        expect((await said(...args))[0], `${length} bytes`).to.equal(0)
      }
    }
  })

  it('is not replaced by a result, when a store in a folder stands and falls with it', async () => {
    const rig = new RepairRig('plaintext')
    for (const name of ['index.json', 'oci-layout']) {
      const file = join(rig.root, name)
      const before = readFileSync(file)
      for (const args of [
        ['repair', 'plan', rig.location, '-o', file],
        ['get', rig.location, 'config', '-o', file],
        ['gc-check', rig.location, '--metrics', file],
      ]) {
        expect((await said(...args))[0], args.join(' ')).to.equal(64)
        expect(readFileSync(file).equals(before), args.join(' ')).to.equal(true)
      }
    }
  })
})
