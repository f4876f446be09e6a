import {encode} from '@msgpack/msgpack'
import {expect} from 'chai'

import type {Mac} from '../../../../src/kloset/mac.js'

import {StoreFormatError, VersionError} from '../../../../src/errors.js'
import {
  decodeAttribute,
  decodeBackupError,
  decodeDirpack,
  decodeEntry,
  decodeHeader,
  decodeObject,
  isDirectory,
  kindOfMode,
  logicalSize,
  nameToBytes,
  permissionsOfMode,
} from '../../../../src/kloset/snapshot/index.js'
import {makeVersion} from '../../../../src/kloset/version.js'
import {failureIn, failureOf} from '../../../helpers/failure.js'

const packed = (value: unknown) => Buffer.from(encode(value, {useBigInt64: true}))
const MAC = 'ab'.repeat(32) as Mac
const macBytes = Buffer.from(MAC, 'hex')

const entry = (name: unknown, parent: string, rest: object = {}) => {
  /* eslint-disable camelcase -- kloset's names */
  const fields = {
    file_info: {mode: 0o644, name, size: 3},
    object: macBytes,
    parent_path: parent,
    version: 65_536,
    ...rest,
  }
  /* eslint-enable camelcase */
  return packed(fields)
}

const header = (fields: object) => packed({identifier: macBytes, version: 65_536, ...fields})

async function* once(...parts: Buffer[]): AsyncGenerator<Buffer> {
  yield* parts
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('entries and their kin', function () {
  it('reads an entry, and passes over fields that it does not know', function () {
    const one = decodeEntry(entry('file', '/folder', {added_later: {deep: [1, 2, {}]}, tags: ['a']}), 'entry') // eslint-disable-line camelcase
    expect(one).to.deep.include({object: MAC, parentPath: '/folder', path: '/folder/file', tags: ['a']})
    expect(one.info).to.include({dev: 0n, mode: 0o644, name: 'file', size: 3})
    expect(isDirectory(one)).to.equal(false)
    expect(decodeEntry(entry('/', '/'), 'entry').path).to.equal('/')
    expect(decodeEntry(entry('/', ''), 'entry').path).to.equal('/')
    expect(decodeEntry(entry('x', '/'), 'entry').path).to.equal('/x')
  })

  it('keeps the bytes of a name that is not UTF-8', function () {
    // A string of msgpack with bytes that no encoder of JavaScript writes.
    const bytes = entry('AAA', '/folder')
    const at = bytes.indexOf('AAA')
    Buffer.from([0x61, 0xff, 0xfe]).copy(bytes, at)
    const one = decodeEntry(bytes, 'entry')
    expect(nameToBytes(one.path).toString('hex')).to.equal(`${Buffer.from('/folder/').toString('hex')}61fffe`)
  })

  it('refuses names and folders by which a restore could leave its target', function () {
    for (const [name, parent] of [
      ['..', '/'],
      ['.', '/'],
      ['', '/'],
      ['a/b', '/'],
      ['/etc', '/'],
      ['a\0b', '/'],
      ['a', ''],
      ['a', 'relative'],
      ['a', '/x/../y'],
      ['a', '/x/'],
      ['a', '//x'],
      ['a', '/./x'],
      ['/', '/x'],
    ] as const) {
      const failure = failureIn(() => decodeEntry(entry(name, parent), 'entry'))
      expect(failure, `${name} in ${parent}`).to.be.instanceOf(StoreFormatError)
    }
  })

  it('reads what a mode says', function () {
    const kinds = [
      [0o644, 'file'],
      [0x80_00_01_ed, 'directory'],
      [0x08_00_01_ff, 'symlink'],
      [0x04_00_01_a4, 'device'],
      [0x04_20_01_a4, 'character-device'],
      [0x02_00_01_a4, 'pipe'],
      [0x01_00_01_a4, 'socket'],
      [0x00_08_00_00, 'irregular'],
    ] as const
    for (const [mode, kind] of kinds) expect(kindOfMode(mode)).to.equal(kind)
    expect(permissionsOfMode(0x80_d0_01_ed)).to.equal(0o7755)
    expect(permissionsOfMode(0x80_00_01_ed)).to.equal(0o755)
  })

  it('reads the chunks of an object, and takes no memory for those that are only claimed', function () {
    const chunk = (length: number) => ({contentMAC: macBytes, entropy: 1.5, flags: 0, length, version: 65_536})
    const object = decodeObject(
      packed({chunks: [chunk(5), chunk(2 ** 32 - 1)], contentMAC: macBytes, flags: 1}),
      'object',
    )
    expect([...object.chunks]).to.deep.equal([
      {length: 5, mac: MAC},
      {length: 2 ** 32 - 1, mac: MAC},
    ])
    expect(object).to.include({contentMac: MAC, flags: 1})
    expect(object.chunks.size).to.equal(2 ** 32 + 4)
    expect(decodeObject(packed({chunks: null}), 'object').chunks.length).to.equal(0)
    const claims = Buffer.concat([Buffer.from('81a66368756e6b73dd00ffffff', 'hex'), Buffer.alloc(70_000, 0xc0)])
    for (const bad of [
      claims,
      packed({chunks: [{length: 1}]}),
      packed({chunks: [{...chunk(1), length: -1}]}),
      packed([1]),
    ]) {
      expect(failureIn(() => decodeObject(bad, 'object'))).to.be.instanceOf(StoreFormatError)
    }
  })

  it('reads errors and extended attributes', function () {
    expect(
      decodeBackupError(packed({error: 'permission denied', name: '/secret', version: 65_536}), 'e'),
    ).to.deep.equal({
      error: 'permission denied',
      name: '/secret',
      version: 65_536,
    })
    const attribute = {name: 'user.note', object: macBytes, path: '/a', size: 3, type: 0, version: 65_536}
    expect(decodeAttribute(packed(attribute), 'x')).to.deep.equal({...attribute, object: MAC})
  })

  it('reads a header, and refuses a newer one and that of another snapshot', function () {
    const summary = {below: {size: 2n ** 40n}, directory: {files: 2, size: 5}}
    const one = decodeHeader(header({name: 'n', sources: [{importer: {directory: '/d'}, summary}], tags: ['t']}), MAC)
    expect(one).to.deep.include({name: 'n', tags: ['t']})
    expect(one.sources[0]!.importer).to.deep.equal({directory: '/d', origin: '', type: ''})
    expect(logicalSize(one)).to.equal(2 ** 40 + 5)
    expect(logicalSize(decodeHeader(header({}), MAC))).to.equal(0)
    expect(failureIn(() => decodeHeader(header({version: makeVersion(1, 0, 1)}), MAC))).to.be.instanceOf(VersionError)
    expect(failureIn(() => decodeHeader(header({identifier: Buffer.alloc(32, 1)}), MAC))).to.be.instanceOf(
      StoreFormatError,
    )
    expect(failureIn(() => decodeHeader(header({identifier: null}), MAC))).to.be.instanceOf(StoreFormatError)
  })

  it("reads a folder's listing in slices of any size, and refuses files of another folder", async function () {
    const frame = (content: Buffer) => {
      const head = Buffer.alloc(5)
      head[0] = 2
      head.writeUInt32LE(content.length + 32, 1)
      return Buffer.concat([head, content, macBytes])
    }

    const listing = Buffer.concat([frame(entry('a', '/f')), frame(entry('b', '/f'))])
    for (const size of [1, 7, listing.length]) {
      const parts: Buffer[] = []
      for (let at = 0; at < listing.length; at += size) parts.push(listing.subarray(at, at + size))
      const found = await collect(decodeDirpack(once(...parts), '/f'))
      expect(found.map(({entry: {path}, mac}) => [path, mac])).to.deep.equal([
        ['/f/a', MAC],
        ['/f/b', MAC],
      ])
    }

    const long = Buffer.from([2, 255, 255, 255, 255])
    const short = Buffer.from([2, 31, 0, 0, 0])
    const foreign = frame(entry('a', '/elsewhere'))
    for (const bad of [long, short, foreign, listing.subarray(0, -1), Buffer.from([1])]) {
      expect(await failureOf(collect(decodeDirpack(once(bad), '/f')))).to.be.instanceOf(StoreFormatError)
    }
  })
})
