/* eslint-disable mocha/no-exports, mocha/no-top-level-hooks -- hooks for the test files that ask for them */
import {expect} from 'chai'

import {anonymousCredentials, standardCredentials} from '../../src/registry/auth/credentials.js'
import {openRepository, type RepositoryOptions} from '../../src/registry/open.js'
import {type RemoteRepository} from '../../src/registry/remote/remote-repository.js'
import {bufferSource, type ContentSource} from '../../src/util/content-source.js'
import {FakeClock} from './fake-clock.js'
import {type FakeOptions, FakeRegistry, type FakeRepository, PASSWORD, USER} from './fake-registry.js'

/** A fake registry and the repository `org/store` of it, opened by the client under test. */
export interface Rig {
  readonly clock: FakeClock
  readonly fake: FakeRegistry
  /** Another repository of the same registry, or the same one as another client sees it. */
  open(name?: string, options?: RepositoryOptions): Promise<RemoteRepository>
  readonly repository: RemoteRepository
  /** What the registry holds. */
  readonly stored: FakeRepository
}

export const STORE = 'org/store'

/** Everything that a rig started is stopped after each test, and the fake must not have seen anything malformed. */
export function useRig(): (options?: FakeOptions, open?: RepositoryOptions) => Promise<Rig> {
  const rigs: {close: () => Promise<void>; fake: FakeRegistry}[] = []

  afterEach(async () => {
    const ended = rigs.splice(0)
    for (const {close} of ended) await close()
    expect(ended.flatMap(({fake}) => fake.violations)).to.deep.equal([])
  })

  return async (options = {}, openOptions = {}) => {
    const fake = await FakeRegistry.start(options)
    const opened: RemoteRepository[] = []
    const clock = new FakeClock()
    const open = async (name = STORE, more: RepositoryOptions = {}) => {
      const credentials =
        (options.auth ?? 'none') === 'none'
          ? anonymousCredentials
          : standardCredentials({env: {}, password: PASSWORD, username: USER})
      const settings = {clock, credentials, ...openOptions, ...more}
      const repository = (await openRepository(`oci://${fake.host}/${name}`, settings)) as RemoteRepository
      opened.push(repository)
      return repository
    }

    rigs.push({
      async close() {
        for (const repository of opened) await repository.close()
        await fake.stop()
      },
      fake,
    })
    return {clock, fake, open, repository: await open(), stored: fake.repository(STORE)}
  }
}

/** `METHOD path` of every request so far, with digests, upload ids and nonces cut short. */
export function requestsOf(fake: FakeRegistry): string[] {
  return fake.requests.map(({method, path}) => `${method} ${shorten(path)}`)
}

function shorten(path: string): string {
  return path
    .replace(`/v2/${STORE}/`, '')
    .replaceAll(/sha256(?::|%3A)([\da-f]{4})[\da-f]{60}/g, '$1')
    .replace(/uploads\/[\da-f]{16}.*/, 'uploads/ID')
    .replaceAll(/kloset-oci-(absent|probe)-[\da-f]+/g, '$1')
}

/** Counts how often a source is opened. */
export function countedSource(bytes: Buffer): ContentSource & {opened: number} {
  const source = bufferSource(bytes)
  return {
    open(range) {
      this.opened += 1
      return source.open(range)
    },
    opened: 0,
    size: bytes.length,
  }
}
