import {expect} from 'chai'
import {randomBytes} from 'node:crypto'
import {buffer} from 'node:stream/consumers'

import type {Fault} from '../helpers/fake-registry.js'

import {KlosetOciError} from '../../src/errors.js'
import {type RemoteRepository} from '../../src/registry/remote/remote-repository.js'
import {bufferSource} from '../../src/util/content-source.js'
import {failureOf} from '../helpers/failure.js'
import {PASSWORD} from '../helpers/fake-registry.js'
import {blobOf, imageManifest, listed} from '../helpers/registry-objects.js'
import {type Rig, useRig} from '../helpers/remote-rig.js'

const BYTES = randomBytes(300_000)
const BLOB = blobOf(BYTES)
const NEW = randomBytes(2000)
const CONFIG = {...blobOf(Buffer.from('{}')), mediaType: 'application/vnd.oci.image.config.v1+json'}

/** What an operation is, and whether it only reads. */
interface Operation {
  readonly run: (repository: RemoteRepository, signal?: AbortSignal) => Promise<unknown>
  readonly writes?: boolean
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  'blob by range': {
    run: async ({blobs}, signal) => buffer(await blobs.fetch(BLOB, {range: {length: 100, offset: 50}, signal})),
  },
  'blob whole': {run: async ({blobs}, signal) => buffer(await blobs.fetch(BLOB, {signal}))},
  'delete a blob': {run: async ({blobs}, signal) => blobs.delete(BLOB.digest, {signal}), writes: true},
  'look up a blob': {run: async ({blobs}, signal) => blobs.resolve(BLOB.digest, {signal})},
  'look up a tag': {run: async ({manifests}, signal) => manifests.resolve('a', {signal})},
  manifest: {run: async ({manifests}, signal) => manifests.get('a', {signal})},
  ping: {run: async (repository, signal) => repository.ping({signal})},
  'push a blob': {
    run: async ({blobs}, signal) => blobs.push(blobOf(NEW), bufferSource(NEW), {force: true, signal}),
    writes: true,
  },
  'push a manifest': {
    run: async ({manifests}, signal) => manifests.push(imageManifest(CONFIG), {signal, tag: 'b'}),
    writes: true,
  },
  'remove a tag': {run: async ({manifests}, signal) => manifests.untag('a', {signal}), writes: true},
  tags: {run: async (repository, signal) => listed(repository.tags({signal}))},
}

/** Where the whole registry fails in one way. */
const FAULTS: Readonly<Record<string, {codes: readonly string[]; fault: Fault}>> = {
  '401': {codes: ['UNAUTHORIZED'], fault: {status: 401}},
  '403': {codes: ['FORBIDDEN'], fault: {body: '{"errors":[{"code":"DENIED","message":"no"}]}', status: 403}},
  '404': {codes: ['NOT_FOUND'], fault: {status: 404}},
  '404 as a web page': {codes: ['NOT_FOUND'], fault: {html: true, status: 404}},
  '405': {codes: ['UNSUPPORTED'], fault: {status: 405}},
  '429': {codes: ['RATE_LIMITED'], fault: {headers: {'retry-after': '3'}, status: 429}},
  '429 for an hour': {codes: ['RATE_LIMITED'], fault: {headers: {'retry-after': '3600'}, status: 429}},
  '500': {codes: ['REGISTRY'], fault: {status: 500}},
  '500 with 10 MB of text': {codes: ['REGISTRY'], fault: {body: 'x'.repeat(10_000_000), status: 500}},
  '500 with text without end': {codes: ['REGISTRY'], fault: {endless: true, status: 500}},
  '503 as a web page': {codes: ['REGISTRY'], fault: {html: true, status: 503}},
  '599': {codes: ['REGISTRY'], fault: {status: 599}},
  'a closed connection': {codes: ['UNREACHABLE'], fault: {dropRequestAfter: 0}},
  'a web page, 200': {codes: ['INTEGRITY', 'PROTOCOL', 'REGISTRY'], fault: {html: true, status: 200}},
  'bytes without end, 200': {codes: ['INTEGRITY', 'PROTOCOL', 'REGISTRY'], fault: {endless: true, status: 200}},
  'garbage, 200': {codes: ['INTEGRITY', 'PROTOCOL', 'REGISTRY'], fault: {body: '\u0000\u0001{', status: 200}},
}

/** What is as good as the registry's word: 200 to a DELETE, /v2/ or HEAD, and the bytes of a range. */
const BLIND = new Set(['blob by range', 'delete a blob', 'look up a blob', 'look up a tag', 'ping'])

function contentOf({stored}: Rig): string {
  return JSON.stringify([[...stored.blobs.keys()], [...stored.manifests.keys()], [...stored.tags]])
}

describe('a registry that fails', () => {
  const rig = useRig()

  async function filled(options = {}): Promise<Rig> {
    const one = await rig({auth: 'basic'}, {timeouts: {idle: 300, response: 300}, ...options})
    one.stored.addBlob(BYTES)
    one.stored.addImage('a', 'content')
    return one
  }

  for (const [operationName, {run, writes}] of Object.entries(OPERATIONS)) {
    describe(`during: ${operationName}`, () => {
      for (const [faultName, {codes, fault}] of Object.entries(FAULTS)) {
        it(`by ${faultName}`, async function () {
          const one = await filled()
          const before = contentOf(one)
          one.fake.fail({...fault, times: 999})
          let error: KlosetOciError | undefined
          try {
            await run(one.repository)
          } catch (error_) {
            error = error_ as KlosetOciError
          }

          if (error === undefined)
            expect(fault.status === 200 && BLIND.has(operationName), 'expected a failure').to.equal(true)
          else {
            expect(error).to.be.instanceOf(KlosetOciError)
            expect(error.code).to.be.oneOf(codes)
            expect(error.message.length).to.be.below(1000)
            expect(JSON.stringify(error)).to.not.include(PASSWORD)
          }

          expect(contentOf(one)).to.equal(before)
          // Nobody is asked more often than a few tries of a few requests.
          expect(one.fake.requests.length).to.be.below(30)
        })
      }

      it('by silence', async () => {
        const one = await filled({retry: {attempts: 2}})
        const before = contentOf(one)
        one.fake.fail({hang: true, times: 999})
        const error = await failureOf(run(one.repository))
        expect(error.code).to.equal('UNREACHABLE')
        expect(error.facts['reason']).to.equal('timeout')
        expect(contentOf(one)).to.equal(before)
      })

      it('for a moment: the next try succeeds', async () => {
        const one = await filled()
        one.fake.fail({path: /v2/, status: 503})
        one.fake.fail({dropRequestAfter: 0, path: /v2/})
        one.fake.fail({headers: {'retry-after': '7'}, path: /v2/, status: 429})
        await run(one.repository)
        expect(one.clock.sleeps.some((pause) => pause >= 7000)).to.equal(true)
      })

      it('while the caller gives up', async () => {
        const one = await filled({timeouts: undefined})
        const before = contentOf(one)
        const controller = new AbortController()
        one.fake.fail({before: () => setTimeout(() => controller.abort(new Error('enough')), 10), hang: true})
        const error = await failureOf(run(one.repository, controller.signal))
        expect(error.code).to.equal('INTERRUPTED')
        expect(contentOf(one)).to.equal(before)
        expect(one.stored.uploads.size).to.equal(0)
      })

      if (writes) {
        it('by taking the login away between read and write', async () => {
          const one = await filled()
          const before = contentOf(one)
          for (const method of ['DELETE', 'PATCH', 'POST', 'PUT']) one.fake.fail({method, status: 403, times: 999})
          expect((await failureOf(run(one.repository))).code).to.equal('FORBIDDEN')
          expect(contentOf(one)).to.equal(before)
        })
      }
    })
  }

  it('in the middle of a body, by silence: what came is not taken for all', async () => {
    const one = await filled({retry: {attempts: 2}})
    one.fake.fail({hang: 1000, method: 'GET', path: /blobs/, times: 99})
    const error = await failureOf(OPERATIONS['blob whole']!.run(one.repository))
    expect(error.code).to.equal('UNREACHABLE')
    expect(error.facts['reason']).to.equal('timeout')
  })

  it('in the middle of a body, once, by silence: the rest is asked for again', async () => {
    const one = await filled()
    one.fake.fail({hang: 1000, method: 'GET', path: /blobs/})
    expect(BYTES.equals((await OPERATIONS['blob whole']!.run(one.repository)) as Buffer)).to.equal(true)
  })
})
