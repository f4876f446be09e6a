import {expect} from 'chai'

import {goesAround} from '../../../../src/registry/transport/no-proxy.js'

describe('NO_PROXY', () => {
  const cases: Readonly<Record<string, readonly [readonly string[], readonly string[]]>> = {
    '': [[], ['https://registry.example']],
    '10.0.0.0/33,10.0.0/8,/8,fd00::/129,x/8': [[], ['https://10.0.0.1', 'https://[fd00::1]']],
    '10.0.0.0/8 192.168.1.7': [
      ['https://10.255.0.1:5000', 'http://192.168.1.7'],
      ['https://11.0.0.1', 'https://192.168.1.70', 'https://10.example', 'https://[a00::1]'],
    ],
    '*': [['http://registry.example', 'https://10.1.2.3'], []],
    '*.example': [['https://registry.example'], ['https://example', 'https://registry.examples']],
    ', REGISTRY.example ,': [
      ['https://registry.example.', 'https://a.registry.example'],
      ['https://myregistry.example'],
    ],
    '.registry.example': [['https://a.registry.example'], ['https://registry.example']],
    '[fd00::1]:443': [['https://[fd00:0:0::1]'], ['https://[fd00::1]:5000', 'http://[fd00::1]']],
    'fd00::/8 ::1': [
      ['https://[fdff::1]:5000', 'https://[::1]'],
      ['https://[fe00::1]', 'https://253.0.0.1'],
    ],
    'registry.example:5000,other:443': [
      ['http://registry.example:5000', 'https://other'],
      ['http://registry.example:5001', 'http://registry.example', 'http://other'],
    ],
  }
  for (const [value, [around, through]] of Object.entries(cases)) {
    it(`is read: ${value || 'nothing'}`, () => {
      for (const url of around) expect(goesAround(new URL(url), value), url).to.equal(true)
      for (const url of through) expect(goesAround(new URL(url), value), url).to.equal(false)
    })
  }
})
