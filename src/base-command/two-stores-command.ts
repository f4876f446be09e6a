import {realpath} from 'node:fs/promises'
import {resolve} from 'node:path'

import type {Repository} from '../registry/interfaces.js'

import {InvalidArgumentError, isNotFound} from '../errors.js'
import {parseLocation} from '../registry/reference.js'
import {StoreCommand, type StoreFlags} from './store-command.js'

export type TwoStoreFlags = StoreFlags & {
  readonly 'from-plain-http'?: boolean | undefined
  readonly 'to-plain-http'?: boolean | undefined
}

export interface TwoStores {
  readonly from: string
  readonly to: string
}

export interface TwoStoresOptions {
  /** Makes a layout directory for the second when there is none; otherwise it is left `undefined`. */
  readonly create: boolean
  /** Read back from the second what was written to it. */
  readonly durable?: boolean | undefined
}

/** A command that works on two stores. */
export abstract class TwoStoresCommand extends StoreCommand {
  /** Opens both for the time of `work`. The first is opened for reading only. */
  protected async withBoth<T>(
    {from, to}: TwoStores,
    flags: TwoStoreFlags,
    {create, durable}: TwoStoresOptions,
    work: (from: Repository, to?: Repository) => Promise<T>,
  ): Promise<T> {
    refuseSharedLogin({from, to}, flags)
    if (create) await refuseSameFolder(from, to)
    const forFirst = withPlainHttp(flags, flags['from-plain-http'])
    const forSecond = withPlainHttp(flags, flags['to-plain-http'])
    return this.withRepository(
      from,
      forFirst,
      async (first) => {
        const isThere = create || (await this.#exists(to, forSecond))
        if (!isThere) return work(first)
        return this.withRepository(to, forSecond, async (second) => work(first, second), {
          create,
          readOnly: !create,
          // A layout syncs what it writes, whatever is said here.
          ...(durable && parseLocation(to).kind === 'registry' && {durable}),
        })
      },
      {readOnly: true},
    )
  }

  async #exists(location: string, flags: StoreFlags): Promise<boolean> {
    if (parseLocation(location).kind === 'registry') return true
    try {
      await this.withRepository(location, flags, async () => {}, {readOnly: true})
      return true
    } catch (error) {
      if (isNotFound(error)) return false
      throw error
    }
  }
}

/** One folder has many names: with a dot, through a link. @throws InvalidArgumentError */
async function refuseSameFolder(from: string, to: string): Promise<void> {
  const [a, b] = [parseLocation(from), parseLocation(to)]
  if (a.kind !== 'layout' || b.kind !== 'layout') return
  const [source, target] = await Promise.all([a, b].map(async ({path}) => realpath(path).catch(() => resolve(path))))
  if (source === target) throw new InvalidArgumentError(`${from}: cannot be copied onto itself`, {facts: {to}})
}

function withPlainHttp(flags: StoreFlags, own: boolean | undefined): StoreFlags {
  return own === undefined ? flags : {...flags, 'plain-http': own}
}

/** A password is for one registry, and is shown to no other. @throws InvalidArgumentError */
function refuseSharedLogin({from, to}: TwoStores, {username}: StoreFlags): void {
  if (username === undefined) return
  const [a, b] = [parseLocation(from), parseLocation(to)]
  if (a.kind !== 'registry' || b.kind !== 'registry' || a.reference.registry === b.reference.registry) return
  throw new InvalidArgumentError('--username: there are two registries, and a login is for one', {
    suggestions: ['Log in to each with "kloset-oci login HOST".'],
  })
}
