import {expect} from 'chai'

import {parseChallenges} from '../../../../src/registry/auth/challenge.js'

/** What a header says, as plain objects. */
function read(header: string | undefined): unknown[] {
  return parseChallenges(header).map(({parameters, scheme}) => ({...parameters, scheme}))
}

describe('challenges', function () {
  for (const [header, expected] of [
    [undefined, []],
    ['', []],
    [' , ,', []],
    ['Basic', [{scheme: 'basic'}]],
    ['Basic realm="a b"', [{realm: 'a b', scheme: 'basic'}]],
    ['BASIC REALM=plain', [{realm: 'plain', scheme: 'basic'}]],
    [
      'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
      [
        {
          realm: 'https://auth.example/token',
          scheme: 'bearer',
          scope: 'repository:a/b:pull,push',
          service: 'registry.example',
        },
      ],
    ],
    ['bearer  Realm = "r" ,  service= s , scope ="x"', [{realm: 'r', scheme: 'bearer', scope: 'x', service: 's'}]],
    [
      String.raw`Basic realm="a, b=\"c\"", Bearer realm="r", charset="utf8", Negotiate`,
      [{realm: 'a, b="c"', scheme: 'basic'}, {charset: 'utf8', realm: 'r', scheme: 'bearer'}, {scheme: 'negotiate'}],
    ],
    ['Negotiate YWJj==, Basic realm="x"', [{scheme: 'negotiate'}, {realm: 'x', scheme: 'basic'}]],
    ['Negotiate, Basic realm="x"', [{scheme: 'negotiate'}, {realm: 'x', scheme: 'basic'}]],
    ['Basic realm=""', [{realm: '', scheme: 'basic'}]],
    [String.raw`Basic realm="a\\"`, [{realm: 'a\\', scheme: 'basic'}]],
    ['Basic realm="never closed', [{realm: 'never closed', scheme: 'basic'}]],
    ['Bearer realm="first", realm="second"', [{realm: 'first', scheme: 'bearer'}]],
    ['Bearer realm=https://auth.example/token', [{realm: 'https://auth.example/token', scheme: 'bearer'}]],
    ['Bearer __proto__="x", realm="r"', [{realm: 'r', scheme: 'bearer'}]],
    ['"quoted" nonsense', []],
    [
      'Basic realm="a" Bearer realm="b"',
      [
        {realm: 'a', scheme: 'basic'},
        {realm: 'b', scheme: 'bearer'},
      ],
    ],
  ] as const) {
    it(`reads ${header}`, function () {
      const found = read(header)
      expect(found).to.have.length(expected.length)
      for (const [index, value] of expected.entries()) expect(found[index]).to.include(value)
    })
  }

  it('reads a hostile header in no time', function () {
    const started = performance.now()
    for (const header of [
      'Bearer '.repeat(2000),
      `Basic realm="${'\\'.repeat(16_000)}`,
      `Basic ${'a='.repeat(8000)}`,
      `Basic ${' '.repeat(16_000)}x`,
      `Basic a${' '.repeat(16_000)}`,
      'x,'.repeat(8000),
      `${'a'.repeat(16_000)}=`,
    ]) {
      parseChallenges(header)
    }

    expect(performance.now() - started).to.be.below(1000)
  })
})
