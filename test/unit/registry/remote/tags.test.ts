import {expect} from 'chai'

import type {FakeOptions, LinkForm} from '../../../helpers/fake-registry.js'

import {RemoteContext} from '../../../../src/registry/remote/context.js'
import {type TagLimits, TagWalker} from '../../../../src/registry/remote/tag-walker.js'
import {createHttpClient} from '../../../../src/registry/transport/client.js'
import {RetryPolicy} from '../../../../src/registry/transport/retry.js'
import {failureOf} from '../../../helpers/failure.js'
import {FakeClock} from '../../../helpers/fake-clock.js'
import {listed} from '../../../helpers/registry-objects.js'
import {requestsOf, type Rig, STORE, useRig} from '../../../helpers/remote-rig.js'

function fill({stored}: Pick<Rig, 'stored'>, count: number): string[] {
  const digest = stored.addImage('CONFIG', 'content')
  const names = Array.from({length: count - 1}, (_, index) => {
    const prefix = ['packfiles', 'state', 'locks'][index % 3]!
    return `${prefix}-${((index * 2_654_435_761) % 4_294_967_296).toString(16).padStart(8, '0').repeat(8)}`
  })
  for (const name of names) stored.tags.set(name, digest)
  return ['CONFIG', ...names].sort()
}

/** The page sizes that were asked for. */
function numbers({fake}: Rig): (null | string)[] {
  return fake.requests.map(({path}) => new URL(path, 'http://x').searchParams.get('n'))
}

/** A walk with limits of its own. */
async function limited({fake}: Rig, limits: Partial<TagLimits>): Promise<string[]> {
  const client = createHttpClient({origin: fake.origin})
  const context = new RemoteContext({
    baseUrl: new URL(fake.origin),
    chunkBytes: 1,
    client,
    concurrency: 1,
    durable: false,
    location: 'oci://x/y',
    maxSkipBytes: 1,
    name: STORE,
    policy: new RetryPolicy({}, {clock: new FakeClock()}),
    readOnly: false,
  })
  try {
    return await listed(new TagWalker(context, limits).walk())
  } finally {
    client.close()
  }
}

describe('tags of a registry', () => {
  const rig = useRig()

  async function expectAll(options: FakeOptions, count: number): Promise<Rig> {
    const one = await rig(options)
    const names = fill(one, count)
    const tags = await listed(one.repository.tags())
    expect(tags).to.have.length(count)
    expect([...tags].sort()).to.deep.equal(names)
    return one
  }

  describe('on pages', () => {
    const forms: LinkForm[] = ['absolute', 'many', 'opaque', 'parameters', 'relative']
    for (const linkForm of forms) {
      it(`are all followed: Link ${linkForm}`, async () => {
        const {fake} = await expectAll({linkForm, tagPage: 7}, 100)
        expect(fake.requests).to.have.length(15)
      })
    }

    for (const tagOrder of ['ascii', 'fold', 'insertion'] as const) {
      for (const tagPaging of ['last', 'last-wraps', 'link', 'none'] as const) {
        if (tagOrder === 'insertion' && tagPaging !== 'none') continue
        for (const count of [1, 99, 100, 101, 200, 1000, 1001]) {
          it(`are all found: ${count}, order ${tagOrder}, paging ${tagPaging}`, async () => {
            await expectAll({tagOrder, tagPage: 100, tagPaging}, count)
            await expectAll({tagOrder, tagPaging}, count)
          })
        }
      }
    }

    it('are asked for in thousands, then hundreds, then without a number, and that is remembered', async () => {
      expect(numbers(await expectAll({}, 10))).to.deep.equal(['1000'])
      const hundreds = await expectAll({maxN: 999}, 250)
      expect(numbers(hundreds)).to.deep.equal(['1000', '100', '100', '100'])
      hundreds.fake.forget()
      await listed(hundreds.repository.tags())
      expect(numbers(hundreds)).to.deep.equal(['100', '100', '100'])
      expect(numbers(await expectAll({maxN: 0}, 10))).to.deep.equal(['1000', '100', null])
    })

    it('take one request more where pages have no Link and might be cut, no more where they cannot be', async () => {
      const last = await expectAll({tagPaging: 'last'}, 1000)
      expect(last.fake.requests).to.have.length(2)
      const short = await expectAll({tagPaging: 'last'}, 999)
      expect(short.fake.requests).to.have.length(1)
      const wraps = await expectAll({tagPaging: 'last-wraps'}, 1000)
      expect(wraps.fake.requests).to.have.length(3)
      const whole = await expectAll({tagOrder: 'insertion', tagPaging: 'none'}, 1000)
      expect(whole.fake.requests).to.have.length(4)
      const large = await expectAll({tagOrder: 'insertion', tagPaging: 'none'}, 3000)
      expect(large.fake.requests).to.have.length(1)
    })

    it('are given each once when pages overlap', async () => {
      const one = await rig({tagPage: 50})
      const names = fill(one, 500)
      let page = 0
      one.fake.fail({
        mangle(body) {
          const json = JSON.parse(body.toString()) as {tags: string[]}
          const first = names.indexOf(json.tags[0]!)
          page += 1
          return Buffer.from(
            JSON.stringify({...json, tags: names.slice(Math.max(0, first - 3), first + json.tags.length)}),
          )
        },
        times: 99,
      })
      expect(await listed(one.repository.tags())).to.deep.equal(names)
      expect(page).to.equal(10)
    })
  })

  describe('that do not come to an end, or end too early, are an error', () => {
    for (const linkForm of ['junk', 'loop', 'offsite', 'same-page'] as const) {
      it(`Link ${linkForm}`, async () => {
        const one = await rig({linkForm, tagPage: 10})
        fill(one, 100)
        const error = await failureOf(listed(one.repository.tags()))
        expect(error.code).to.equal('PROTOCOL')
        expect(one.fake.requests.length).to.be.below(5)
      })
    }

    for (const tagPage of [50, 100, 1000]) {
      it(`a list that stops at ${tagPage} and offers no way on`, async () => {
        const one = await rig({tagPage, tagPaging: 'mute'})
        fill(one, 1200)
        const error = await failureOf(listed(one.repository.tags()))
        expect(error.code).to.equal('PROTOCOL')
        expect(error.suggestions).to.have.length.above(0)
      })
    }

    it('more pages or tags than any store has', async () => {
      const one = await rig({tagPage: 10})
      fill(one, 1000)
      expect(await limited(one, {pages: 101, tags: 1000})).to.have.length(1000)
      expect((await failureOf(limited(one, {pages: 99}))).code).to.equal('PROTOCOL')
      expect((await failureOf(limited(one, {tags: 999}))).code).to.equal('PROTOCOL')
    })

    it('pages of nothing without end', async () => {
      const one = await rig()
      fill(one, 10)
      let page = 0
      // Each with another address for the next.
      const headers = {
        get link() {
          return `</v2/${STORE}/tags/list?page=${page}>; rel="next"`
        },
      }
      one.fake.fail({
        before() {
          page += 1
        },
        headers,
        mangle: () => Buffer.from('{"tags":[]}'),
        times: 99_999,
      })
      expect((await failureOf(limited(one, {pages: 50}))).code).to.equal('PROTOCOL')
      expect(page).to.be.within(50, 51)
    })
  })

  describe('that change while they are read', () => {
    it('are read again from the start when the place has gone, each given once', async () => {
      const one = await rig({staleLast: 404, tagPage: 100})
      const names = fill(one, 1000)
      // The tag that the third page begins behind goes before it is asked for.
      one.fake.fail({before: () => one.stored.tags.delete(names[199]!), skip: 2})
      const tags = await listed(one.repository.tags())
      expect(new Set(tags).size).to.equal(tags.length)
      const gone = names[199]!
      expect(tags.filter((tag) => tag !== gone)).to.deep.equal(names.filter((name) => name !== gone))
    })

    it('are given up when that goes on', async () => {
      const one = await rig({staleLast: 404, tagPage: 100})
      const names = fill(one, 1000)
      one.fake.fail({body: '{}', path: /last=/, status: 404, times: 99})
      const error = await failureOf(listed(one.repository.tags()))
      expect(error.code).to.equal('PROTOCOL')
      expect(error.facts['passes']).to.equal(3)
      expect(names).to.have.length(1000)
    })

    it('in an order of its own are given each once too', async () => {
      const one = await rig({tagOrder: 'insertion', tagPage: 100})
      fill(one, 1000)
      one.fake.fail({body: '{}', path: /last=/, skip: 4, status: 404})
      const tags = await listed(one.repository.tags())
      expect(tags).to.deep.equal([...one.stored.tags.keys()])
    })
  })

  describe('of a repository that does not exist', () => {
    it('are none', async () => {
      const one = await rig()
      one.fake.repositories.clear()
      expect(await listed(one.repository.tags())).to.deep.equal([])
      expect(requestsOf(one.fake)).to.have.length(1)
    })

    it('are none where the list is null, empty or says so in other words', async () => {
      const {fake, repository} = await rig()
      for (const body of ['{"name":"x","tags":null}', '{"name":"x","tags":[]}']) {
        fake.fail({body, status: 200})
        expect(await listed(repository.tags())).to.deep.equal([])
      }

      fake.fail({body: '{"errors":[{"code":"NOT_FOUND","message":"repository a not found"}]}', status: 404})
      expect(await listed(repository.tags())).to.deep.equal([])
    })

    for (const [name, fault] of Object.entries({
      'a bare 404': {status: 404},
      'another reason': {body: '{"errors":[{"code":"DENIED"}]}', status: 404},
      'a web page': {html: true, status: 404},
    })) {
      it(`are an error after ${name}`, async () => {
        const {fake, repository} = await rig()
        fake.fail({...fault, times: 9})
        expect((await failureOf(listed(repository.tags()))).code).to.equal('NOT_FOUND')
      })
    }
  })

  describe('that are no list of tags', () => {
    for (const body of [
      '<html>',
      '',
      'null',
      '[]',
      '{}',
      '{"tags":{}}',
      '{"tags":"a"}',
      '{"tags":[1]}',
      '{"tags":["ok",null]}',
      '{"tags":["a/b"]}',
      '{"tags":[""]}',
      '{"tags":["a"',
      '{"tags":[{"toString":null}]}',
      `{"tags":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    ]) {
      it(`are an error: ${body.slice(0, 40) || 'nothing'}`, async () => {
        const {fake, repository} = await rig()
        fake.fail({body, status: 200})
        expect((await failureOf(listed(repository.tags()))).code).to.equal('PROTOCOL')
      })
    }
  })

  it('are asked for again when the connection breaks in the middle of a page', async () => {
    const one = await rig({tagPage: 10})
    const names = fill(one, 50)
    one.fake.fail({dropAfter: 30, skip: 2, times: 2})
    expect(await listed(one.repository.tags())).to.deep.equal(names)
    expect(one.fake.requests).to.have.length(7)
  })

  it('end early for a reader that has seen enough', async () => {
    const one = await rig({tagPage: 10})
    fill(one, 100)
    const walk = one.repository.tags()[Symbol.asyncIterator]()
    expect((await walk.next()).value).to.equal('CONFIG')
    await walk.return?.()
    expect(one.fake.requests).to.have.length(1)
  })

  it('end when aborted while a page is waited for', async () => {
    const one = await rig({tagPage: 10})
    fill(one, 100)
    const controller = new AbortController()
    one.fake.fail({before: () => setTimeout(() => controller.abort(), 10), hang: true, skip: 2})
    expect((await failureOf(listed(one.repository.tags({signal: controller.signal})))).code).to.equal('INTERRUPTED')
  })
})
