import {expect} from 'chai'

import {Secret} from '../../../src/registry/auth/secret.js'
import {plainText, redactUrl, rememberSecret} from '../../../src/registry/redact.js'

const PASSWORD = String.raw`C4n4ry 83%"\\&<x>/+?=`

/** Words would not do: they may be passwords of tests that ran before in the same process. */
function around(text: string): string {
  return `[1] ${text} [2]`
}

describe('what is shown of foreign texts', () => {
  const forms: Readonly<Record<string, string>> = {
    'as a form has it': new URLSearchParams([['p', PASSWORD]]).toString().slice(2),
    'as an address has it': encodeURIComponent(PASSWORD),
    'as it is': PASSWORD,
    'in JSON': JSON.stringify(PASSWORD),
    'in the JSON of Go': JSON.stringify(PASSWORD)
      .replaceAll('&', String.raw`\u0026`)
      .replaceAll('<', String.raw`\u003c`)
      .replaceAll('>', String.raw`\u003e`),
    'with what a terminal does not show': PASSWORD.replace('n4', 'n\u200B4'),
  }
  for (const [how, text] of Object.entries(forms)) {
    it(`is no secret of ours ${how}`, () => {
      rememberSecret(PASSWORD)
      expect(plainText(around(text))).to.match(/^\[1\] "?<secret>"? \[2\]$/)
    })
  }

  it('is no secret of which another one is a part, whichever came first', () => {
    for (const secret of [PASSWORD.slice(0, 8), PASSWORD, PASSWORD.slice(-8)]) rememberSecret(secret)
    expect(plainText(around(PASSWORD))).to.equal(around('<secret>'))
  })

  it('is no secret that has spaces in it', () => {
    rememberSecret('two  spaces  here')
    expect(plainText(around('two  spaces  here'))).to.equal(around('<secret>'))
  })

  it('is no secret that is still sent, however many came after it', () => {
    const password = new Secret('C4n4ry-of-long-ago')
    for (let index = 0; index < 100; index++) {
      rememberSecret(`token number ${index}`)
      password.reveal()
    }

    expect(plainText(around('C4n4ry-of-long-ago'))).to.equal(around('<secret>'))
  })

  it('is no user, password or signature of an address', () => {
    for (const [text, shown] of [
      ['Get "https://u:p@s3.example/b/k?X-Amz-Signature=5ec": timeout', 'Get "https://s3.example/b/k?…": timeout'],
      ['see <https://s3.example/b?sig=5ec#5ec> there', 'see <https://s3.example/b?…> there'],
      ['failed: /b/k?a=1&X-Amz-Security-Token=5ec&b=2', 'failed: /b/k?a=1&X-Amz-Security-Token=…&b=2'],
      [String.raw`{"u":"https://x/?a=1\u0026sig=5ec"}`, '{"u":"https://x/?…"}'],
      [
        'see https://registry.example/v2/a/b@c and a@b.example',
        'see https://registry.example/v2/a/b@c and a@b.example',
      ],
    ] as const)
      expect(plainText(text)).to.equal(shown)
  })

  it('is no secret in the path of an address', () => {
    rememberSecret('C4n4ry+/==')
    expect(redactUrl('https://cdn.example/C4n4ry+/==/blob')).to.equal('https://cdn.example/redacted/blob')
    expect(redactUrl(`https://cdn.example/${encodeURIComponent('C4n4ry+/==')}/blob`)).to.equal(
      'https://cdn.example/redacted/blob',
    )
  })
})
