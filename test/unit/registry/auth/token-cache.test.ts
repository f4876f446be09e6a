import {expect} from 'chai'
import {once} from 'node:events'

import {mergeScopes, splitScopes} from '../../../../src/registry/auth/scopes.js'
import {Secret} from '../../../../src/registry/auth/secret.js'
import {type Token, TokenCache} from '../../../../src/registry/auth/token-cache.js'
import {failureOf} from '../../../helpers/failure.js'
import {FakeClock} from '../../../helpers/fake-clock.js'

async function down(): Promise<never> {
  throw new Error('down')
}

describe('tokens that are kept', function () {
  let clock: FakeClock
  let cache: TokenCache
  let fetched: number

  beforeEach(function () {
    clock = new FakeClock()
    cache = new TokenCache(clock)
    fetched = 0
  })

  const fetch = async (): Promise<Token> => {
    fetched++
    const now = clock.now()
    return {expiresAt: now + 100, refreshAt: now + 80, value: new Secret(`token ${fetched}`)}
  }

  const get = async (key = 'k', rejected?: Token) => cache.get({fetch, key, rejected})

  it('are used until four fifths of their life are over', async function () {
    const token = await get()
    clock.advance(79)
    expect(await get()).to.equal(token)
    clock.advance(1)
    expect(await get()).to.not.equal(token)
    expect(fetched).to.equal(2)
  })

  it('are not kept without end, however many are asked for', async function () {
    for (let index = 0; index < 1000; index++) await get(`k${index}`)
    await get('k999')
    expect(fetched).to.equal(1000)
    await get('k0')
    expect(fetched).to.equal(1001)
  })

  it('are kept apart by key', async function () {
    expect(await get('a')).to.not.equal(await get('b'))
    expect(await get('a')).to.equal(await get('a'))
    expect(fetched).to.equal(2)
  })

  it('are fetched once for all who wait', async function () {
    const all = await Promise.all(Array.from({length: 50}, async () => get()))
    expect(new Set(all).size).to.equal(1)
    expect(fetched).to.equal(1)
  })

  it('are replaced once when many find them refused', async function () {
    const old = await get()
    const all = await Promise.all(Array.from({length: 50}, async () => get('k', old)))
    expect(new Set(all).size).to.equal(1)
    expect(all[0]).to.not.equal(old)
    expect(await get('k', old)).to.equal(all[0])
    expect(fetched).to.equal(2)
  })

  it('are used to their end when no new one can be had', async function () {
    const token = await get()
    clock.advance(85)
    expect((await cache.get({fetch: down, key: 'k'})).value).to.equal(token.value)
    clock.advance(15)
    expect((await failureOf(cache.get({fetch: down, key: 'k'}))).message).to.equal('down')
  })

  it('are not used when refused, whatever the service says', async function () {
    const token = await get()
    const refused = cache.get({fetch: down, key: 'k', rejected: token})
    expect((await failureOf(refused)).message).to.equal('down')
  })

  it('are asked for again after a failure', async function () {
    await failureOf(cache.get({fetch: down, key: 'k'}))
    expect((await get()).value.reveal()).to.equal('token 1')
  })

  it('reach the others when one stops waiting', async function () {
    const gate = new AbortController()
    const late = once(gate.signal, 'abort').then(fetch)
    const controller = new AbortController()
    const first = failureOf(cache.get({fetch: () => late, key: 'k', signal: controller.signal}))
    const second = cache.get({fetch: () => late, key: 'k'})
    controller.abort(new Error('enough'))
    expect((await first).code).to.equal('INTERRUPTED')
    gate.abort()
    expect((await second).value.reveal()).to.equal('token 1')
    expect((await get()).value.reveal()).to.equal('token 1')
  })

  it('are asked for by scopes in one fixed form', function () {
    expect(mergeScopes(['repository:b:push,pull', 'repository:a:pull'], ['repository:b:pull,delete'])).to.deep.equal([
      'repository:a:pull',
      'repository:b:delete,pull,push',
    ])
    expect(mergeScopes(['registry:catalog:*'], ['odd'], [])).to.deep.equal(['odd', 'registry:catalog:*'])
    expect(splitScopes(' a:b:c  d:e:f\t')).to.deep.equal(['a:b:c', 'd:e:f'])
    expect(splitScopes()).to.deep.equal([])
  })
})
