import {Readable} from 'node:stream'

import type {FetchOptions, Repository} from '../../../src/registry/interfaces.js'

import {type ContentSource} from '../../../src/util/content-source.js'
import {DeadError, type Life} from './life.js'

/**
 * A repository as a mortal process sees it, without a network: each call is a step of its life. A push of a blob that
 * is cut in its middle fails as one whose source broke.
 */
export function mortalRepository<T extends Repository>(inner: T, life: Life): T {
  const {blobs, manifests} = inner
  const mortal: Pick<Repository, 'blobs' | 'manifests' | 'ping' | 'tags'> = {
    blobs: wrap(blobs, {
      delete: async (...args) => life.step(async () => blobs.delete(...args)),
      fetch: async (target, options?: FetchOptions) =>
        life.step(async () => {
          const stream = await blobs.fetch(target, options)
          // A stream that a dead process never got has nobody to listen to it.
          stream.on('error', () => {})
          return stream
        }),
      push: async (target, source, options) =>
        life.step(
          async () => blobs.push(target, source, options),
          async () => blobs.push(target, broken(source), options),
        ),
      resolve: async (...args) => life.step(async () => blobs.resolve(...args)),
      ...('mount' in blobs && {
        mount: async (...args: unknown[]) =>
          life.step(async () => (blobs.mount as (...all: unknown[]) => Promise<boolean>)(...args)),
      }),
    }),
    manifests: wrap(manifests, {
      delete: async (...args) => life.step(async () => manifests.delete(...args)),
      get: async (...args) => life.step(async () => manifests.get(...args)),
      push: async (...args) => life.step(async () => manifests.push(...args)),
      resolve: async (...args) => life.step(async () => manifests.resolve(...args)),
      tag: async (...args) => life.step(async () => manifests.tag(...args)),
      untag: async (...args) => life.step(async () => manifests.untag(...args)),
    }),
    ping: async (...args) => life.step(async () => inner.ping(...args)),
    async *tags(...args) {
      await life.step(async () => {})
      for await (const tag of inner.tags(...args)) {
        yield tag
        if (life.isOver) await life.step(async () => {})
      }
    },
  }
  return wrap(inner, mortal as Partial<T>)
}

/** The object with some of its methods replaced; the others are its own. */
function wrap<T extends object>(inner: T, replaced: Partial<T>): T {
  return new Proxy(inner, {
    get(target, property) {
      if (property in replaced) return replaced[property as keyof T]
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

/** A source whose stream breaks half-way. */
function broken(source: ContentSource): ContentSource {
  return {
    open: () =>
      Readable.from(
        (async function* () {
          let left = Math.floor(source.size / 2)
          for await (const chunk of source.open() as AsyncIterable<Buffer>) {
            yield chunk.subarray(0, left)
            left -= chunk.length
            if (left <= 0) throw new DeadError()
          }
        })(),
        {objectMode: false},
      ),
    size: source.size,
  }
}
