import {expect} from 'chai'
import {Readable} from 'node:stream'

import type {HttpMethod, HttpResponse} from '../../../src/registry/transport/http.js'

import {expectStatus, RegistryResponseError, responseError} from '../../../src/registry/errors.js'
import {plainText, redactUrl} from '../../../src/registry/redact.js'
import {FakeClock} from '../../helpers/fake-clock.js'

function answer(
  status: number,
  body: Buffer | Readable | string = '',
  headers: Record<string, string> = {},
): HttpResponse {
  return {
    attempts: 1,
    body: body instanceof Readable ? body : Readable.from(body.length > 0 ? [Buffer.from(body)] : []),
    headers,
    status,
    url: new URL('https://reg.example/v2/a/blobs/uploads/1?_state=SECRET&digest=sha256:1&n=5'),
  }
}

const clock = new FakeClock(Date.parse('2026-01-02T03:04:05Z'))
const errorOf = (response: HttpResponse, method: HttpMethod = 'GET') => responseError(response, method, clock)

describe('what registries say', function () {
  describe('errors of a registry', function () {
    for (const [status, code] of [
      [400, 'REGISTRY'],
      [401, 'UNAUTHORIZED'],
      [403, 'FORBIDDEN'],
      [404, 'NOT_FOUND'],
      [405, 'UNSUPPORTED'],
      [416, 'REGISTRY'],
      [418, 'REGISTRY'],
      [429, 'RATE_LIMITED'],
      [500, 'REGISTRY'],
      [503, 'REGISTRY'],
      [302, 'REGISTRY'],
    ] as const) {
      it(`${status} is ${code}`, async function () {
        const error = await errorOf(answer(status))
        expect(error.code).to.equal(code)
        expect(error.facts).to.include({attempts: 1, status})
      })
    }

    it("says method, address, status and the registry's own words", async function () {
      const body = JSON.stringify({
        errors: [
          {code: 'DENIED', detail: {x: 1}, message: 'no push for you'},
          {code: 'UNKNOWN', detail: 'only a detail'},
          {message: 'only a message'},
          'nonsense',
        ],
      })
      const error = await errorOf(answer(403, body), 'PUT')
      expect(error.message).to.equal(
        'PUT https://reg.example/v2/a/blobs/uploads/1?_state=redacted&digest=sha256%3A1&n=5: 403 ' +
          'DENIED: no push for you; UNKNOWN: only a detail; only a message',
      )
      expect(error.names('DENIED')).to.be.true
      expect(error.names('BLOB_UNKNOWN')).to.be.false
      expect(error.facts['registryCode']).to.equal('DENIED')
      expect(error.method).to.equal('PUT')
    })

    it('passes on an answer whose status was expected, unread', async function () {
      const response = answer(202, 'body')
      expect(await expectStatus(response, [201, 202], 'PUT')).to.equal(response)
      expect(response.body.readableDidRead).to.be.false
    })

    it('throws for any other', async function () {
      try {
        await expectStatus(answer(500), [200], 'GET')
        expect.fail('no error')
      } catch (error) {
        expect(error).to.be.instanceOf(RegistryResponseError)
      }
    })

    it('says that it was a web page, and shows none of it', async function () {
      const page = '<!DOCTYPE html><html><body onload="alert(1)">Sign in to the captive portal</body></html>'
      const error = await errorOf(answer(502, page, {'content-type': 'text/html'}))
      expect(error.message).to.match(/502 a web page was sent instead/)
      expect(JSON.stringify(error)).to.not.contain('captive')
    })

    it('shows a plain text, cleaned and cut', async function () {
      const error = await errorOf(answer(400, `bad\u0007 thing\u001B[2J\r\nhappened ${'x'.repeat(5000)}`))
      expect(error.message).to.contain('400 bad thing[2J happened xxx')
      expect(error.message).to.have.length.below(400)
      expect(error.message).to.not.match(/\p{Cc}/u)
    })

    it('cleans what the JSON says', async function () {
      const body = JSON.stringify({errors: [{code: 'A\u001B[31m', message: `line\nbreak\u202E${'y'.repeat(9999)}`}]})
      const error = await errorOf(answer(400, body))
      expect(error.message).to.not.match(/[\p{Cc}\p{Cf}]/u)
      expect(error.message).to.contain('A[31m: line break')
      expect(error.message).to.have.length.below(600)
    })

    it('reads no more than 64 KiB of an endless text', async function () {
      let sent = 0
      const endless = new Readable({
        read() {
          sent += 16_384
          this.push(Buffer.alloc(16_384, 'e'))
        },
      })
      const error = await errorOf(answer(500, endless))
      expect(error.message).to.contain('too long')
      expect(sent).to.be.below(512 * 1024)
      expect(endless.destroyed).to.be.true
    })

    it('makes do with a body that breaks', async function () {
      const broken = new Readable({
        read() {
          this.push('{"errors":[')
          this.destroy(new Error('boom'))
        },
      })
      expect((await errorOf(answer(500, broken))).code).to.equal('REGISTRY')
    })

    it('makes do with many and odd errors', async function () {
      const errors = Array.from({length: 1000}, (_, index) => ({code: `C${index}`}))
      expect((await errorOf(answer(400, JSON.stringify({errors})))).diagnostics).to.have.length(8)
      for (const body of ['{"errors":{}}', '{"errors":null}', '[]', 'null', '{"errors":[null,7,[]]}', '\uFFFD']) {
        expect((await errorOf(answer(400, body))).status).to.equal(400)
      }
    })

    it('does not wait for a body that HEAD does not have', async function () {
      expect((await errorOf(answer(404), 'HEAD')).message).to.match(/^HEAD .*: 404$/)
    })

    it('says when to come back', async function () {
      const error = await errorOf(answer(429, '', {'retry-after': '120'}))
      expect(error.retryAfter).to.equal(120)
      expect(error.facts['retryAfter']).to.equal(120)
      expect(error.suggestions.join(' ')).to.contain('2026-01-02T03:06:05.000Z')
      const dated = await errorOf(answer(503, '', {'retry-after': 'Fri, 02 Jan 2026 03:05:05 GMT'}))
      expect(dated.retryAfter).to.equal(60)
      expect(dated.suggestions.join(' ')).to.contain('2026-01-02T03:05:05.000Z')
    })

    it('has a next step where there is one', async function () {
      expect((await errorOf(answer(401))).suggestions.join(' ')).to.contain('login')
      const expired = 'Your authorization token has expired. Reauthenticate and try again.'
      expect((await errorOf(answer(403, expired))).suggestions.join(' ')).to.contain('expired')
      expect((await errorOf(answer(405))).suggestions.join(' ')).to.contain('doctor')
      expect((await errorOf(answer(429))).suggestions.join(' ')).to.contain('--concurrency')
      const go = 'Client sent an HTTP request to an HTTPS server.\n'
      expect((await errorOf(answer(400, go))).suggestions.join(' ')).to.contain('--plain-http')
      const nginx = '<html><h1>400</h1>The plain HTTP request was sent to HTTPS port</html>'
      expect((await errorOf(answer(400, nginx))).message).to.contain('https is spoken there')
    })

    it('counts attempts in its text', async function () {
      expect((await errorOf({...answer(503), attempts: 4})).message).to.contain('(4 attempts)')
    })
  })

  describe('redaction', function () {
    it('takes user info, fragments and unknown query values out', function () {
      expect(redactUrl('https://u:p@h/x?n=1&last=a&sig=S&sig=T#f')).to.equal('https://h/x?n=1&last=a&sig=redacted')
      expect(redactUrl('https://h/token?service=s&scope=repository%3Aa%3Apull&account=me')).to.contain(
        'scope=repository',
      )
      expect(redactUrl('not a url')).to.equal('<not a url>')
    })

    it('makes text fit for a line', function () {
      expect(plainText(' a\r\n\tb \u0000\u200B\u{E000}c ')).to.equal('a b c')
      expect(plainText('x'.repeat(20), 5)).to.equal('xxxxx…')
    })
  })
})
