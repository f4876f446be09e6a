import {expect} from 'chai'
import {Readable} from 'node:stream'

import type {HttpClient, HttpRequest, HttpResponse} from '../../../../src/registry/transport/http.js'

import {ProtocolError} from '../../../../src/errors.js'
import {responseError, TransportError} from '../../../../src/registry/errors.js'
import {parseRetryAfter} from '../../../../src/registry/transport/retry-after.js'
import {retrying, RetryPolicy, withRetry} from '../../../../src/registry/transport/retry.js'
import {failureOf} from '../../../helpers/failure.js'
import {FakeClock} from '../../../helpers/fake-clock.js'

const url = new URL('https://reg.example/v2/')
const lost = (reason: 'dns' | 'refused' | 'reset' | 'timeout' | 'tls' | 'unreachable' = 'reset') =>
  new TransportError('it went wrong', {method: 'GET', reason, url})

type Step = Error | number | {readonly retryAfter: string; readonly status: number}

/** A client that plays a script and remembers what it was sent. */
class Script implements HttpClient {
  readonly bodies: Readable[] = []
  closed = false
  readonly requests: HttpRequest[] = []
  readonly #steps: Step[]

  constructor(...steps: Step[]) {
    this.#steps = steps
  }

  close(): void {
    this.closed = true
  }

  async send(request: HttpRequest): Promise<HttpResponse> {
    this.requests.push(request)
    const step = this.#steps.shift()
    if (step === undefined) throw new Error('one request too many')
    if (step instanceof Error) throw step
    const {retryAfter, status} = typeof step === 'number' ? {retryAfter: undefined, status: step} : step
    const body = Readable.from([Buffer.from('text')])
    this.bodies.push(body)
    return {attempts: 1, body, headers: retryAfter === undefined ? {} : {'retry-after': retryAfter}, status, url}
  }
}

describe('trying again', function () {
  describe('retries', function () {
    let clock: FakeClock

    beforeEach(function () {
      clock = new FakeClock()
    })

    const policy = (options = {}, random = () => 1) => new RetryPolicy(options, {clock, random})

    for (const status of [408, 429, 500, 502, 503, 504]) {
      it(`asks again after ${status}`, async function () {
        const script = new Script(status, 200)
        const response = await withRetry(script, policy()).send({method: 'GET', url})
        expect(response.status).to.equal(200)
        expect(response.attempts).to.equal(2)
        expect(script.bodies[0]?.readableEnded || script.bodies[0]?.destroyed).to.be.true
        expect(script.requests.map(({attempt}) => attempt)).to.deep.equal([1, 2])
      })
    }

    for (const status of [200, 206, 301, 400, 401, 403, 404, 405, 409, 413, 416, 501, 505]) {
      it(`takes ${status} for an answer`, async function () {
        const response = await withRetry(new Script(status), policy()).send({method: 'GET', url})
        expect(response.status).to.equal(status)
        expect(response.attempts).to.equal(1)
        expect(response.body.readableDidRead).to.be.false
      })
    }

    for (const reason of ['refused', 'reset', 'timeout', 'unreachable'] as const) {
      it(`asks again when the connection was: ${reason}`, async function () {
        const response = await withRetry(new Script(lost(reason), 200), policy()).send({method: 'GET', url})
        expect(response.attempts).to.equal(2)
      })
    }

    for (const error of [lost('dns'), lost('tls'), new ProtocolError('odd')]) {
      it(`gives up at once on: ${error.name} ${(error as TransportError).reason ?? ''}`, async function () {
        expect(await failureOf(withRetry(new Script(error), policy()).send({method: 'GET', url}))).to.equal(error)
      })
    }

    it('doubles its limit up to the longest, and draws below it', async function () {
      const full = withRetry(new Script(500, 500, 500, 500, 500, 500, 500, 200), policy({attempts: 8}))
      await full.send({method: 'HEAD', url})
      expect(clock.sleeps).to.deep.equal([200, 400, 800, 1600, 3200, 6400, 10_000])
      clock.sleeps.length = 0
      await withRetry(
        new Script(500, 500, 200),
        policy({}, () => 0.25),
      ).send({method: 'GET', url})
      expect(clock.sleeps).to.deep.equal([50, 100])
    })

    it('is more patient with a limit of rate', async function () {
      await withRetry(new Script(429, 429, 200), policy()).send({method: 'GET', url})
      expect(clock.sleeps).to.deep.equal([1000, 2000])
    })

    it('stops after five tries, and returns the last answer', async function () {
      const response = await withRetry(new Script(503, 503, 503, 503, 503), policy()).send({method: 'GET', url})
      expect(response.status).to.equal(503)
      expect(response.attempts).to.equal(5)
    })

    it('is more patient, when asked to, with a registry that has answered before', async function () {
      const patient = policy({attempts: 2, attemptsOnceAnswered: 4})
      const away = await withRetry(new Script(503, 503), patient).send({method: 'GET', url})
      expect(away).to.include({attempts: 2, status: 503})
      expect((await withRetry(new Script(404), patient).send({method: 'GET', url})).status).to.equal(404)
      const restarted = await withRetry(new Script(503, lost(), 503, 200), patient).send({method: 'GET', url})
      expect(restarted).to.include({attempts: 4, status: 200})
      const gone = await withRetry(new Script(503, 503, 503, 503), patient).send({method: 'GET', url})
      expect(gone).to.include({attempts: 4, status: 503})
    })

    it('counts the tries in the error of the last', async function () {
      const script = new Script(lost(), lost(), lost())
      const error = await failureOf(withRetry(script, policy({attempts: 3})).send({method: 'GET', url}))
      expect(error.facts).to.include({attempts: 3, reason: 'reset'})
      expect(error.message).to.equal('GET https://reg.example/v2/: it went wrong (3 attempts)')
    })

    it('waits as long as it is told, in seconds or until a date', async function () {
      const later = new Date(clock.now() + 9000).toUTCString()
      await withRetry(
        new Script({retryAfter: '7', status: 429}, {retryAfter: later, status: 503}, 200),
        policy({}, () => 0),
      ).send({method: 'GET', url})
      expect(clock.sleeps).to.deep.equal([7000, 2000])
    })

    it('does not wait longer than its limit: the answer is final', async function () {
      const response = await withRetry(new Script({retryAfter: '61', status: 429}), policy()).send({method: 'GET', url})
      expect(response.status).to.equal(429)
      expect(clock.sleeps).to.be.empty
      const error = await responseError(response, 'GET', clock)
      expect(error.code).to.equal('RATE_LIMITED')
      expect(error.suggestions.join(' ')).to.contain(new Date(clock.now() + 61_000).toISOString())
    })

    it('asks again for what is marked safe, and for GET and HEAD when nothing is said', async function () {
      for (const method of ['PUT', 'POST', 'PATCH', 'DELETE'] as const) {
        expect((await withRetry(new Script(503), policy()).send({method, url})).status).to.equal(503)
        expect((await withRetry(new Script(503, 200), policy()).send({method, retry: 'safe', url})).status).to.equal(
          200,
        )
      }

      expect((await withRetry(new Script(503), policy()).send({method: 'GET', retry: 'never', url})).status).to.equal(
        503,
      )
      expect((await failureOf(withRetry(new Script(lost()), policy()).send({method: 'PUT', url}))).code).to.equal(
        'UNREACHABLE',
      )
    })

    it('never asks again once aborted', async function () {
      const controller = new AbortController()
      const script = new Script()
      script.send = async () => {
        controller.abort()
        throw lost()
      }

      await failureOf(withRetry(script, policy()).send({method: 'GET', signal: controller.signal, url}))
      expect(clock.sleeps).to.be.empty
    })

    it('ends a pause when aborted', async function () {
      const controller = new AbortController()
      clock.sleep = async (_ms, signal) => {
        controller.abort(new Error('enough'))
        signal?.throwIfAborted()
      }

      const error = await failureOf(
        withRetry(new Script(503), policy()).send({method: 'GET', signal: controller.signal, url}),
      )
      expect(error.code).to.equal('INTERRUPTED')
      expect((error.cause as Error).message).to.equal('enough')
    })

    it('closes what it wraps', function () {
      const script = new Script()
      withRetry(script, policy()).close()
      expect(script.closed).to.be.true
    })

    it('restarts larger units by the same rules', async function () {
      const failures = [
        lost(),
        await responseError(
          {attempts: 1, body: Readable.from([]), headers: {'retry-after': '3'}, status: 503, url},
          'PUT',
        ),
      ]
      const tries: number[] = []
      const result = await retrying(
        async (attempt) => {
          tries.push(attempt)
          const failure = failures.shift()
          if (failure) throw failure
          return 'done'
        },
        policy({}, () => 0),
      )
      expect(result).to.equal('done')
      expect(tries).to.deep.equal([1, 2, 3])
      expect(clock.sleeps).to.deep.equal([0, 3000])
      const final = new ProtocolError('odd')
      const refused = await failureOf(
        retrying(async () => {
          throw final
        }, policy()),
      )
      expect(refused).to.equal(final)
    })
  })

  describe('Retry-After', function () {
    const now = Date.parse('2026-01-02T03:04:05Z')
    for (const [value, expected] of [
      ['0', 0],
      [' 12 ', 12_000],
      ['Fri, 02 Jan 2026 03:05:05 GMT', 60_000],
      ['Fri, 02 Jan 2026 03:00:00 GMT', 0],
      [undefined, undefined],
      ['', undefined],
      ['-1', undefined],
      ['1.5', undefined],
      ['soon', undefined],
      ['2026', 2_026_000],
      ['99999999999999999999', 315_360_000_000],
      ['Fri, 31 Dec 9999 23:59:59 GMT', 315_360_000_000],
    ] as const) {
      it(`${value} is ${expected}`, function () {
        expect(parseRetryAfter(value, now)).to.equal(expected)
      })
    }
  })
})
