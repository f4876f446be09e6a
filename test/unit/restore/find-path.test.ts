import {expect} from 'chai'

import type {Filesystem} from '../../../src/kloset/snapshot/index.js'

import {shownPath} from '../../../src/cli/entries.js'
import {nameFromBytes, nameFromShown} from '../../../src/kloset/snapshot/index.js'
import {findPath} from '../../../src/restore/index.js'

const NAMES = [
  'plain',
  'new\nline',
  'escape\u001B[31m',
  'turned\u202Eround',
  'é',
  String.raw`back\slash`,
  String.raw`a\x`,
  String.raw`\xyz`,
].map((name) => Buffer.from(name))

/** No command line of Node can carry these as they are. */
const BYTES = [Buffer.from([0x62, 0xff, 0xfe]), Buffer.from([0xc3, 0x28, 0x0a])]

/** Files whose tree knows some paths. */
function filesWith(...paths: readonly string[]): Filesystem {
  const find = async (path: string) => (paths.includes(path) ? '0'.repeat(64) : undefined)
  return {tree: {find}} as unknown as Filesystem
}

describe('paths as they are shown', () => {
  it('become names again', () => {
    for (const bytes of [...NAMES, ...BYTES]) {
      const name = nameFromBytes(bytes)
      expect(nameFromShown(shownPath(name)), shownPath(name)).to.equal(name)
    }
  })

  it('are found below the folder that was backed up, and after what bears that very name', async () => {
    const name = nameFromBytes(BYTES[0]!)
    const shown = shownPath(name)
    expect(await findPath(filesWith(`/srv/${name}`), '/srv', shown)).to.equal(`/srv/${name}`)
    expect(await findPath(filesWith(`/srv/${name}`), '/srv', `/srv/${shown}`)).to.equal(`/srv/${name}`)
    expect(await findPath(filesWith(`/srv/${name}`, `/srv/${shown}`), '/srv', shown)).to.equal(`/srv/${shown}`)
    expect(await findPath(filesWith(), '/srv', shown)).to.equal(`/srv/${shown}`)
  })
})
