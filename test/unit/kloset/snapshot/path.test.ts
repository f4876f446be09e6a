import {expect} from 'chai'

import {
  cleanPath,
  compareBytes,
  comparePaths,
  isPlainName,
  nameFromBytes,
  nameToBytes,
} from '../../../../src/kloset/snapshot/index.js'
import {isCleanPath, joinPath} from '../../../../src/kloset/snapshot/path.js'
import {seeded} from '../../../helpers/random.js'

describe('names and paths', function () {
  it('keeps the bytes of any name, and leaves UTF-8 as it is', function () {
    const random = seeded(8)
    for (const text of ['', 'plain', 'é', '名前', '😀', '�', '\u{10FFFF}', 'a\u0000b', '']) {
      expect(nameFromBytes(Buffer.from(text))).to.equal(text)
      expect(nameToBytes(text).equals(Buffer.from(text))).to.equal(true)
      expect(isPlainName(text)).to.equal(true)
    }

    for (let round = 0; round < 3000; round++) {
      const bytes = random.bytes(random.below(12))
      expect(nameToBytes(nameFromBytes(bytes)).equals(bytes), bytes.toString('hex')).to.equal(true)
    }

    // Encoded surrogates, overlong forms and cut sequences are bytes and nothing else.
    for (const hex of ['eda080', 'edb280', 'c080', 'f4908080', 'e2', 'e282', 'f09f98', 'ff', '80', '61ff62']) {
      const bytes = Buffer.from(hex, 'hex')
      expect(nameToBytes(nameFromBytes(bytes)).toString('hex')).to.equal(hex)
      expect(isPlainName(nameFromBytes(bytes)), hex).to.equal(false)
    }

    const mixed = Buffer.concat([Buffer.from('😀'), Buffer.from([0xff]), Buffer.from('é')])
    expect(nameFromBytes(mixed)).to.equal('😀\uDCFFé')
  })

  it('compares as bytes compare', function () {
    const random = seeded(9)
    const names = ['', 'a', 'b', 'é', '～', '😀', '�', '', '', '😁']
    for (let round = 0; round < 60; round++) names.push(nameFromBytes(random.bytes(random.below(6))))
    for (const a of names) {
      for (const b of names) {
        const expected = Buffer.compare(nameToBytes(a), nameToBytes(b))
        expect(Math.sign(compareBytes(a, b)), `${JSON.stringify(a)} ${JSON.stringify(b)}`).to.equal(expected)
      }
    }
  })

  it('orders paths by depth and then by bytes', function () {
    const paths = ['/b/c', '/', '/b/a/x', '/a', '/a/z', '/😀', '/～']
    expect(paths.sort(comparePaths)).to.deep.equal(['/', '/a', '/～', '/😀', '/a/z', '/b/c', '/b/a/x'])
  })

  it('cleans paths, and none leads above the root', function () {
    const cleaned = ['', '/', '.', '/a/', 'a//b', '/a/../../b', '/a/./b/..', '../..'].map((path) => cleanPath(path))
    expect(cleaned).to.deep.equal(['/', '/', '/', '/a', '/a/b', '/b', '/a', '/'])
    for (const path of ['a', '', '/a/', '/a//b', '/a/../b', '//']) expect(isCleanPath(path), path).to.equal(false)
    for (const path of ['/', '/a', '/a b/ü']) expect(isCleanPath(path), path).to.equal(true)
    expect([joinPath('/', 'a'), joinPath('/a', 'b'), joinPath('/', '/'), joinPath('', '/')]).to.deep.equal([
      '/a',
      '/a/b',
      '/',
      '/',
    ])
  })
})
