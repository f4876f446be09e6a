import {Flags} from '@oclif/core'

import {resourceArg, storeArg, StoreCommand} from '../base-command/store-command.js'
import {textArg} from '../cli/args.js'
import {describe} from '../cli/describe.js'
import {humanSize, plural} from '../cli/format.js'
import {openInput} from '../cli/input.js'
import {InvalidArgumentError, isNotFound, StoreFormatError} from '../errors.js'
import {EXIT} from '../exit-codes.js'
import {openConfiguration} from '../kloset/configuration.js'
import {openStore} from '../kloset/create.js'
import {type Mac, parseMac} from '../kloset/mac.js'
import {CONFIG_TAG, parseResource, type Resource, type ResourceName, tagOf} from '../kloset/resource.js'
import {type KlosetStore, MAX_CONFIG_BYTES} from '../kloset/store.js'
import {parseDigest} from '../registry/digest.js'
import {collect} from '../util/collect.js'
import {type ContentSource} from '../util/content-source.js'

export interface PutResult {
  readonly digest: string
  readonly mac: string | undefined
  readonly resource: ResourceName
  readonly size: number
  readonly store: string
  readonly tag: string
}

export default class Put extends StoreCommand {
  static override args = {
    store: storeArg,
    resource: resourceArg,
    mac: textArg({description: 'all 64 hex digits; a configuration has none, FILE comes in its place'}),
    file: textArg({description: 'what to store; - or nothing reads standard input'}),
  }

  static override description = describe(
    `Stores one object: its blob first, its tag last, so that nobody ever sees half of it. The same bytes again are no error;
other bytes under the same MAC are refused unless --overwrite.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.alreadyExists,
    EXIT.unknownVersion,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main packfile MAC ./packfile.bin',
      description: 'store a file',
    },
    {
      command: 'cat lost | <%= config.bin %> <%= command.id %> oci-layout:./store.oci state MAC -',
      description: 'store what a pipe brings',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main config ./CONFIG.bak',
      description: 'put a lost configuration back',
    },
  ]

  static override flags = {
    durable: Flags.boolean({
      allowNo: true,
      default: true,
      description: 'read back what the registry holds before success is reported',
    }),
    overwrite: Flags.boolean({description: 'replace an object that is there with other content'}),
  }

  static override summary = 'store one object from a file or a pipe'

  async run(): Promise<PutResult> {
    const {args, flags} = await this.parse(Put)
    const target = targetOf(args)
    if (target.file === '-' && flags['password-stdin']) {
      throw new InvalidArgumentError('standard input cannot be both the object and the password', {
        suggestions: ['Give FILE, or the password in KLOSET_OCI_PASSWORD.'],
      })
    }

    return this.withStore(args.store, flags, async (store) => {
      if (target.resource !== 'config') await requireConfiguration(store, this.signal)
      const progress = await this.startProgress(flags)
      progress.update(`reading ${target.file === '-' ? 'standard input' : target.file}`)
      const input = await openInput(target.file, this.signal)
      try {
        if (input.size === 0) throw nothingToStore(target.file)
        progress.update(`storing ${humanSize(input.size)}`)
        const {durable, overwrite} = flags
        const digest = parseDigest(`sha256:${input.sha256}`)
        const {mac, resource, tag} = target
        const options = {digest, durable, signal: this.signal, ...(overwrite && {overwrite})}
        await (resource === 'config'
          ? store.putConfig(await readConfiguration(input), options)
          : store.put(resource, mac, input, options))

        this.print(`stored ${tag} (${humanSize(input.size)}, ${plural(input.size, 'byte')})`)
        return {digest, mac, resource, size: input.size, store: store.location, tag}
      } finally {
        await input.dispose()
      }
    })
  }
}

/** @throws StoreFormatError | VersionError when the bytes are no configuration: the store could not be opened with it */
async function readConfiguration(input: ContentSource): Promise<Buffer> {
  if (input.size > MAX_CONFIG_BYTES)
    throw new StoreFormatError(`${CONFIG_TAG}: ${input.size} bytes are no configuration`)
  const bytes = await collect(input.open(), {limit: MAX_CONFIG_BYTES, what: CONFIG_TAG})
  await openConfiguration(bytes)
  return bytes
}

function nothingToStore(file: string): InvalidArgumentError {
  const what = file === '-' ? 'nothing came by standard input' : `${file} is empty`
  return new InvalidArgumentError(`${what}: no object is without a byte`, {
    suggestions: ['Look at what was to write it: it may have failed.'],
  })
}

/** One request for a tag; what is wrong is found out only when it is not there. @throws NotFoundError */
async function requireConfiguration(store: KlosetStore, signal: AbortSignal): Promise<void> {
  try {
    await store.repository.manifests.resolve(CONFIG_TAG, {signal})
  } catch (error) {
    if (!isNotFound(error)) throw error
    await openStore(store.repository, {signal})
  }
}

type Target =
  | {readonly file: string; readonly mac: Mac; readonly resource: Resource; readonly tag: string}
  | {readonly file: string; readonly mac: undefined; readonly resource: 'config'; readonly tag: string}

function targetOf(args: {file?: string | undefined; mac?: string | undefined; resource: string}): Target {
  if (args.resource === 'config') {
    if (args.file !== undefined) throw new InvalidArgumentError('config: has no MAC, only a FILE')
    return {file: args.mac ?? '-', mac: undefined, resource: 'config', tag: CONFIG_TAG}
  }

  const resource = parseResource(args.resource)
  if (args.mac === undefined) throw new InvalidArgumentError(`${resource}: the MAC is missing`)
  const mac = parseMac(args.mac)
  return {file: args.file ?? '-', mac, resource, tag: tagOf(resource, mac)}
}
