import type {FetchOptions, Repository} from '../../src/registry/interfaces.js'

/** One call to a repository: `blobs.push`, `manifests.get`, `tags`…, with what it was about. */
export interface SpiedCall {
  readonly name: string
  /** Digest, tag or reference; a push of a manifest has its tag. */
  readonly subject: string
}

export interface SpyOptions {
  /** Runs before each call; what it throws, the call throws. */
  readonly before?: (call: SpiedCall, count: number) => Promise<void> | void
}

/**
 * A repository that counts its calls and fails where it is told to. Capabilities of the inner one that are not named
 * here (listings) pass through.
 */
export function spyRepository<T extends Repository>(
  inner: T,
  options: SpyOptions = {},
): {calls: SpiedCall[]; repository: T} {
  const calls: SpiedCall[] = []
  const note = async (name: string, subject: string) => {
    const call = {name, subject}
    calls.push(call)
    await options.before?.(call, calls.filter((other) => other.name === name).length)
  }

  const {blobs, manifests} = inner
  const spied: Pick<Repository, 'blobs' | 'manifests' | 'ping' | 'tags'> = {
    blobs: {
      async delete(digest, ...rest) {
        await note('blobs.delete', digest)
        return blobs.delete(digest, ...rest)
      },
      async fetch(target, fetchOptions?: FetchOptions) {
        await note(fetchOptions?.range ? 'blobs.fetchRange' : 'blobs.fetch', target.digest)
        return blobs.fetch(target, fetchOptions)
      },
      async push(target, source, pushOptions) {
        await note(pushOptions?.force ? 'blobs.pushForced' : 'blobs.push', target.digest)
        return blobs.push(target, source, pushOptions)
      },
      async resolve(reference, ...rest) {
        await note('blobs.resolve', reference)
        return blobs.resolve(reference, ...rest)
      },
    },
    manifests: {
      async delete(digest, ...rest) {
        await note('manifests.delete', digest)
        return manifests.delete(digest, ...rest)
      },
      async get(reference, ...rest) {
        await note('manifests.get', reference)
        return manifests.get(reference, ...rest)
      },
      async push(manifest, pushOptions) {
        await note('manifests.push', pushOptions?.tag ?? '')
        return manifests.push(manifest, pushOptions)
      },
      async resolve(reference, ...rest) {
        await note('manifests.resolve', reference)
        return manifests.resolve(reference, ...rest)
      },
      async tag(target, tag, ...rest) {
        await note('manifests.tag', tag)
        return manifests.tag(target, tag, ...rest)
      },
      async untag(tag, ...rest) {
        await note('manifests.untag', tag)
        return manifests.untag(tag, ...rest)
      },
    },
    async ping(...rest) {
      await note('ping', '')
      return inner.ping(...rest)
    },
    async *tags(...rest) {
      await note('tags', '')
      yield* inner.tags(...rest)
    },
  }
  const repository = new Proxy(inner, {
    get(target, property) {
      if (property in spied) return spied[property as keyof typeof spied]
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
    set(_target, property, value: unknown) {
      return Reflect.set(spied, property, value)
    },
  })
  return {calls, repository}
}

/** How often a call was made. */
export function countCalls(calls: readonly SpiedCall[], name: string): number {
  return calls.filter((call) => call.name === name).length
}
