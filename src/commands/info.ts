import {Flags} from '@oclif/core'

import type {Configuration} from '../kloset/configuration.js'

import {storeArg, StoreCommand} from '../base-command/store-command.js'
import {describe} from '../cli/describe.js'
import {humanCount, humanSize, plural, table} from '../cli/format.js'
import {type Counts, Listing, totalOf} from '../cli/listing.js'
import {keepYoungGenerationSmall} from '../cli/young-generation.js'
import {EXIT} from '../exit-codes.js'
import {formatUuid} from '../kloset/configuration.js'
import {openStore} from '../kloset/create.js'
import {formatTimestamp} from '../kloset/timestamp.js'
import {formatVersion} from '../kloset/version.js'

export interface InfoResult {
  readonly chunking: Configuration['chunking']
  readonly compression: undefined | {readonly algorithm: string; readonly level: number}
  readonly counts: Counts
  readonly encryption: undefined | {readonly data: string; readonly kdf: string; readonly subkey: string}
  readonly hashing: Configuration['hashing']
  readonly packfile: {readonly maxSize: number}
  readonly repositoryId: string
  /** Bytes stored under all tags of the store, unless it was not asked for. */
  readonly size: number | undefined
  readonly store: string
  readonly timestamp: string
  readonly version: string
}

export default class Info extends StoreCommand {
  static override args = {store: storeArg}

  static override description = describe(
    `Shows a store's configuration, how many objects it has, and what they take in the registry. No passphrase is needed.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.unknownVersion,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main',
      description: 'a store in a registry',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci-layout:./store.oci --no-size --json',
      description: 'without a request per object',
    },
  ]

  static override flags = {
    size: Flags.boolean({
      allowNo: true,
      default: true,
      description: 'add up the stored sizes: a request or two per object',
    }),
  }

  static override summary = 'show what a store is and how large'

  async run(): Promise<InfoResult> {
    const {args, flags} = await this.parse(Info)
    const withSize = flags.size
    keepYoungGenerationSmall()
    return this.withRepository(args.store, flags, async (repository) => {
      const {signal} = this
      const store = await openStore(repository, {concurrency: flags.concurrency, signal})
      const configuration = await store.configuration({signal})
      const progress = await this.startProgress(flags)
      const listing = new Listing(store, {concurrency: flags.concurrency, long: withSize, signal})
      let total = 0
      for await (const object of listing.objects()) {
        total += object.size ?? 0
        progress.update(`${plural(totalOf(listing.counts), 'object')}, ${humanSize(total)}`)
      }

      const size = withSize ? total : undefined
      const result = {...configurationResult(configuration), counts: listing.counts, size, store: store.location}
      this.print(...lines(result))
      return result
    })
  }
}

function configurationResult(configuration: Configuration): Omit<InfoResult, 'counts' | 'size' | 'store'> {
  const {chunking, compression, encryption, hashing, packfile, repositoryId, timestamp, version} = configuration
  return {
    chunking,
    compression: compression && {algorithm: compression.algorithm, level: compression.level},
    encryption: encryption && {
      data: encryption.dataAlgorithm,
      kdf: encryption.kdf.kdf,
      subkey: encryption.subKeyAlgorithm,
    },
    hashing,
    packfile: {maxSize: packfile.maxSize},
    repositoryId: formatUuid(repositoryId),
    timestamp: formatTimestamp(timestamp),
    version: formatVersion(version),
  }
}

function lines(result: InfoResult): string[] {
  const {chunking, compression, counts, encryption, hashing, packfile, size} = result
  const sizes = [chunking.minSize, chunking.normalSize, chunking.maxSize].map((bytes) => humanSize(bytes))
  return table([
    ['store', result.store],
    ['repository', result.repositoryId],
    ['created', result.timestamp],
    ['version', result.version],
    [
      'encryption',
      encryption ? `${encryption.data}, subkeys ${encryption.subkey}, ${encryption.kdf}` : 'none: plaintext',
    ],
    ['compression', compression ? `${compression.algorithm}, level ${compression.level}` : 'none'],
    ['hashing', `${hashing.algorithm}, ${hashing.bits} bits`],
    ['chunking', `${chunking.algorithm}, ${sizes.join(' / ')}`],
    ['packfile', `at most ${humanSize(packfile.maxSize)}`],
    ['packfiles', humanCount(counts.packfile)],
    ['states', humanCount(counts.state)],
    ['locks', humanCount(counts.lock)],
    ...(counts.foreign > 0 ? [['foreign tags', humanCount(counts.foreign)]] : []),
    ...(size === undefined ? [] : [['stored size', `${humanSize(size)} (${plural(size, 'byte')})`]]),
  ])
}
