import {type Interfaces} from '@oclif/core'

import type {Repository} from '../registry/interfaces.js'
import type {RepositoryOptions} from '../registry/open.js'

import {textArg} from '../cli/args.js'
import {connectionOptions} from '../cli/connection.js'
import {registryFlags} from '../cli/registry-flags.js'
import {RESOURCE_NAMES} from '../kloset/resource.js'
import {KlosetStore} from '../kloset/store.js'
import {BaseCommand, outputFlags} from './base-command.js'

export type StoreFlags = Interfaces.InferredFlags<typeof outputFlags & typeof registryFlags>

/** The argument that every such command begins with. */
export const storeArg = textArg({
  description: 'oci://HOST[:PORT]/PATH or oci-layout:PATH',
  name: 'STORE',
  required: true,
})

export const resourceArg = textArg({
  description: `one of ${RESOURCE_NAMES.join(', ')}`,
  options: [...RESOURCE_NAMES],
  required: true,
})

/** A command that works on a store or a repository. */
export abstract class StoreCommand extends BaseCommand {
  static override baseFlags = {...outputFlags, ...registryFlags}

  /** Opens the repository for the time of `work`; whatever happens, its connections and locks are freed. */
  protected async withRepository<T>(
    location: string,
    flags: StoreFlags,
    work: (repository: Repository) => Promise<T>,
    extra: Pick<RepositoryOptions, 'create' | 'durable' | 'readOnly'> = {},
  ): Promise<T> {
    const {openRepository} = await import('../registry/open.js')
    const options = await connectionOptions(flags, {signal: this.signal, userAgent: this.config.userAgent})
    const repository = await openRepository(location, {...options, ...extra, signal: this.signal})
    try {
      return await work(repository)
    } finally {
      await repository.close()
    }
  }

  /** As `withRepository`, with the store in it. Nothing is read before `work` does: a damaged store opens too. */
  protected async withStore<T>(
    location: string,
    flags: StoreFlags,
    work: (store: KlosetStore) => Promise<T>,
  ): Promise<T> {
    return this.withRepository(location, flags, async (repository) =>
      work(new KlosetStore(repository, {concurrency: flags.concurrency})),
    )
  }
}
