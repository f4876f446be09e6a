import {expect} from 'chai'

import {nextPage} from '../../../../src/registry/remote/link.js'
import {failureIn} from '../../../helpers/failure.js'

const BASE = new URL('https://registry.example/v2/a/tags/list?n=2')

describe('Link headers', () => {
  const good: readonly [string, string | undefined][] = [
    ['</v2/a/tags/list?last=b&n=2>; rel="next"', 'https://registry.example/v2/a/tags/list?last=b&n=2'],
    ['<https://registry.example/x?c=%3D%3D>; rel="next"', 'https://registry.example/x?c=%3D%3D'],
    ['<https://registry.example:443/x>; rel=next', 'https://registry.example/x'],
    ['<http://registry.example/x>; rel="next"', 'https://registry.example/x'],
    ['<?last=b>; rel="next"', 'https://registry.example/v2/a/tags/list?last=b'],
    ['<list2>;rel=next', 'https://registry.example/v2/a/tags/list2'],
    ['</x>; rel="prev Next"', 'https://registry.example/x'],
    [String.raw`</x> ; title="a, \"b\"; rel=prev" ; REL = next`, 'https://registry.example/x'],
    ['</first>; rel="first", </x>; rel="next", </y>; rel="last"', 'https://registry.example/x'],
    ['</x,y;z>; rel="next"', 'https://registry.example/x,y;z'],
    ['</x>; rel="prev"; rel="next"', undefined],
    ['</x>; rel="last"', undefined],
    ['</x>', undefined],
    ['</x>; title; rel=next', 'https://registry.example/x'],
    [', </x>; rel=next ,', 'https://registry.example/x'],
    ['', undefined],
    ['  ', undefined],
  ]
  for (const [header, expected] of good) {
    it(`reads ${header || 'an empty header'}`, () => {
      expect(nextPage(header, BASE, 'tags')?.href).to.equal(expected)
    })
  }

  it('has no next page without a header', () => {
    expect(nextPage(undefined, BASE, 'tags')).to.equal(undefined)
  })

  const bad = [
    'next',
    '/v2/a/tags/list?last=b; rel="next"',
    '</x; rel="next"',
    '</x>; rel="next',
    '</x> rel="next"',
    '</x>; rel="next" </y>; rel="prev"',
    '<javascript:alert(1)>; rel="next"',
    '<http://>; rel="next"',
  ]
  for (const header of bad) {
    it(`refuses ${header}`, () => {
      expect(failureIn(() => nextPage(header, BASE, 'tags')).code).to.equal('PROTOCOL')
    })
  }

  for (const target of ['https://elsewhere.example/x', '//elsewhere.example/x', 'https://registry.example:8443/x']) {
    it(`does not go to ${target}`, () => {
      const error = failureIn(() => nextPage(`<${target}>; rel="next"`, BASE, 'tags'))
      expect(error.code).to.equal('PROTOCOL')
      expect(error.message).to.include('another host')
    })
  }

  it('does not go from http to another scheme or port', () => {
    const plain = new URL('http://127.0.0.1:5000/v2/a/tags/list')
    expect(failureIn(() => nextPage('<https://127.0.0.1:5000/x>; rel=next', plain, 'tags')).code).to.equal('PROTOCOL')
    expect(failureIn(() => nextPage('<http://127.0.0.1:5001/x>; rel=next', plain, 'tags')).code).to.equal('PROTOCOL')
  })

  it('repeats nothing of a query in its error', () => {
    const error = failureIn(
      () => nextPage('</x?token=canary>', BASE, 'tags') ?? nextPage('/x?token=canary', BASE, 'tags'),
    )
    expect(JSON.stringify(error)).to.not.include('canary')
  })
})
