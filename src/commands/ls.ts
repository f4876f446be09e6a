import {Flags} from '@oclif/core'

import {storeArg, StoreCommand} from '../base-command/store-command.js'
import {textArg} from '../cli/args.js'
import {paint} from '../cli/colors.js'
import {describe} from '../cli/describe.js'
import {humanCount, humanSize, plural, shellCommand, table} from '../cli/format.js'
import {type Counts, type ListedObject, Listing, totalOf} from '../cli/listing.js'
import {LineWriter} from '../cli/output.js'
import {NotFoundError} from '../errors.js'
import {EXIT} from '../exit-codes.js'
import {RESOURCE_NAMES, type ResourceName} from '../kloset/resource.js'

export interface LsResult {
  /** Objects that cannot be read; known only with --long. */
  readonly broken: number
  /** Objects listed. */
  readonly count: number
  readonly counts: Counts
  /** Bytes of the objects listed; known only with --long. */
  readonly size?: number
  readonly store: string
}

export default class Ls extends StoreCommand {
  static override args = {
    store: storeArg,
    resource: textArg({description: `only one of ${RESOURCE_NAMES.join(', ')}`, options: [...RESOURCE_NAMES]}),
  }

  static override description = describe(
    `Lists the objects of a store as the registry names them, one a line: the kind and the MAC, or the MAC alone when
RESOURCE is given. Lines are printed as they come, so that a store of any size is listed in little memory.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.closedPipe,
  )

  static override examples = [
    {command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main', description: 'everything'},
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main packfile --count',
      description: 'how many packfiles',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci-layout:./store.oci --long',
      description: 'with sizes, times and digests',
    },
  ]

  static override flags = {
    count: Flags.boolean({description: 'print numbers of objects only', exclusive: ['long']}),
    long: Flags.boolean({char: 'l', description: 'add size, time and digest: a request or two per object'}),
  }

  static override summary = 'list the objects of a store'

  async run(): Promise<LsResult> {
    const {args, flags} = await this.parse(Ls)
    const resource = args.resource as ResourceName | undefined
    const {concurrency, count: countOnly, long} = flags
    return this.withStore(args.store, flags, async (store) => {
      const listing = new Listing(store, {concurrency, long, resource, signal: this.signal})
      const json = this.jsonEnabled() && !countOnly ? this.streamJson({store: store.location}, 'objects') : undefined
      const writer = new LineWriter()
      const show = async (object: ListedObject) =>
        json ? json.item(object) : writer.line(lineOf(object, {long, only: resource !== undefined}))
      const sums = {broken: 0, count: 0, size: 0}
      for await (const object of listing.objects()) {
        sums.count++
        sums.size += object.size ?? 0
        if (object.error) sums.broken++
        if (!countOnly) await show(object)
      }

      await writer.end()
      const {counts} = listing
      if (totalOf(counts) === 0) throw nothingThere(store.location, counts.foreign)
      if (sums.broken > 0) this.exitWith(EXIT.damage)
      const {broken, count, size} = sums
      const result: LsResult = {broken, count, counts, ...(long && {size}), store: store.location}
      if (json) await this.endJson({...result, store: undefined})
      else if (countOnly) this.print(...countLines(counts, resource))
      this.#remarks(result, args.store)
      return result
    })
  }

  /** What a person should know and a pipe should not get. */
  #remarks({broken, count, counts, size}: LsResult, location: string): void {
    const {config, foreign} = counts
    if (size !== undefined) this.note(paint.dim(`${plural(count, 'object')}, ${humanSize(size)}`))
    if (foreign > 0) this.note(`${plural(foreign, 'foreign tag')} not shown: not of this store`)
    if (config === 0) this.note('warning: the store has no CONFIG')
    if (broken > 0) this.note(`warning: ${plural(broken, 'object')} cannot be read`)
    if (broken > 0 || config === 0) this.note(`next: ${shellCommand('kloset-oci', 'gc-check', location)}`)
  }
}

/** A stream needs fixed columns: a MAC is always 64 digits, and no size is wider than `1023 KiB`. */
function lineOf(object: ListedObject, {long, only}: {long: boolean; only: boolean}): string {
  const {created, digest, error, mac, resource, size, tag} = object
  const cells = only ? [] : [resource.padEnd(8)]
  cells.push((mac ?? tag).padEnd(long ? 64 : 0))
  if (long && error) cells.push(paint.red('?'.padStart(8)), paint.red(error.message))
  else if (long) cells.push(humanSize(size ?? 0).padStart(8), (created ?? '-').padEnd(24), digest ?? '')
  return cells.join('  ').trimEnd()
}

function countLines(counts: Counts, resource: ResourceName | undefined): string[] {
  if (resource) return [String(counts[resource])]
  const rows = [...RESOURCE_NAMES, 'foreign' as const]
    .filter((name) => name !== 'foreign' || counts.foreign > 0)
    .map((name) => [name, humanCount(counts[name])])
  return table([...rows, ['total', humanCount(totalOf(counts))]], [{}, {align: 'right'}])
}

function nothingThere(location: string, foreign: number): NotFoundError {
  return new NotFoundError(`${location}: no store here`, {
    facts: {foreign},
    suggestions: ['Check the reference, or make a store with `kloset-oci create`.'],
  })
}
