import {expect} from 'chai'

import {ProtocolError} from '../../../../src/errors.js'
import {IndexScanner} from '../../../../src/registry/layout/index-scan.js'

const LARGE = 1024 * 1024

function scan(text: string, chunkSize = LARGE): {items: unknown[]; rest: unknown} {
  const items: unknown[] = []
  const scanner = new IndexScanner('index.json', (json) => {
    items.push(JSON.parse(json))
  })
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += chunkSize) scanner.push(bytes.subarray(at, at + chunkSize))
  return {items, rest: scanner.end()}
}

describe('index scanner', () => {
  const value = {
    annotations: {'a"b': String.raw`ma\nif"ests":[{`, manifests: 'no', ünï: '🦊 "\\'},
    manifests: [
      {a: 1, nested: {manifests: [1, {b: ']'}]}},
      {annotations: {name: 'x,y]}"\\'}, list: [[], [[1], {}]]},
      {c: String.raw`\\"`, d: null, é: '🦊'},
    ],
    other: [1, 2, {manifests: []}],
    schemaVersion: 2,
  }
  const {manifests, ...rest} = value

  it('finds the same as JSON.parse, wherever the chunks end', () => {
    for (const text of [JSON.stringify(value), JSON.stringify(value, null, 2), `\n\t${JSON.stringify(value)} \r\n`]) {
      for (const size of [1, 2, 3, 5, 7, 16, 61, LARGE]) {
        expect(scan(text, size), `chunks of ${size}`).to.deep.equal({items: manifests, rest})
      }
    }
  })

  it('takes an empty list, also as Go writes it', () => {
    for (const list of ['[]', '[ ]', '[\n]', 'null']) {
      expect(scan(`{"schemaVersion":2,"manifests":${list}}`)).to.deep.equal({items: [], rest: {schemaVersion: 2}})
    }
  })

  it('refuses what JSON.parse refuses, and a list that is none or is there twice', () => {
    const texts = [
      '',
      '[]',
      '"x"',
      '{}',
      '{"manifests":{}}',
      '{"manifests":"x"}',
      '{"manifests":[]',
      '{"manifests":[1}}',
      '{"manifests":[]}}',
      '{"manifests":[],}',
      '{"manifests":[][]}',
      '{"manifests":[{}],"manifests":[{}]}',
      String.raw`{"manifests":[],"\u006danifests":[{}]}`,
      String.raw`{"\u006danifests":[{}]}`,
      '{"a":{"manifests":[]}}',
      '<html>',
    ]
    for (const text of texts) {
      for (const size of [1, LARGE]) expect(() => scan(text, size), text).to.throw(ProtocolError)
    }
  })

  it('does not gather a piece without end', () => {
    for (const begin of ['{"a":"', '{"manifests":[{"a":"', '{"manifests":[],"a":"']) {
      const scanner = new IndexScanner('index.json', () => {})
      scanner.push(Buffer.from(begin))
      const filler = Buffer.alloc(LARGE, 'x')
      let pushed = 0
      expect(() => {
        for (; pushed < 40; pushed++) scanner.push(filler)
      }, begin).to.throw(ProtocolError)
      expect(pushed).to.be.below(20)
    }
  })

  it('hands pieces on that their judge refuses', () => {
    for (const text of [
      '{"manifests":[,]}',
      '{"manifests":[{},]}',
      '{"manifests":[{}{}]}',
      '{"manifests":[{"a":]}]}',
    ]) {
      expect(() => scan(text), text).to.throw()
    }
  })
})
