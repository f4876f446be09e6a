import {Flags} from '@oclif/core'

import {resourceArg, storeArg, StoreCommand} from '../base-command/store-command.js'
import {textArg} from '../cli/args.js'
import {describe} from '../cli/describe.js'
import {humanSize, plural, shellCommand} from '../cli/format.js'
import {STDOUT, writeContent} from '../cli/sink.js'
import {InvalidArgumentError} from '../errors.js'
import {EXIT} from '../exit-codes.js'
import {parseResource, type ResourceName} from '../kloset/resource.js'
import {type KlosetStore, type ObjectRange} from '../kloset/store.js'
import {abortable} from '../util/abort.js'
import {readableOf} from '../util/content-source.js'

export interface GetResult {
  /** Where the bytes went. */
  readonly file: string
  readonly mac: string | undefined
  readonly range: ObjectRange | undefined
  readonly resource: ResourceName
  readonly size: number
  readonly store: string
}

export default class Get extends StoreCommand {
  static override args = {
    store: storeArg,
    resource: resourceArg,
    mac: textArg({description: '64 hex digits, or the beginning of one MAC only; a configuration has none'}),
  }

  static override description = describe(
    `Reads one object, as it is stored. Every byte of a whole object is checked against its digest while it passes; a file
appears under its name only when that held.`,
    EXIT.damage,
    EXIT.notFound,
    EXIT.closedPipe,
  )

  static override examples = [
    {
      command: '<%= config.bin %> <%= command.id %> oci://registry.example/backups/main config > CONFIG.bak',
      description: 'keep a copy of the configuration',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci-layout:./store.oci packfile MAC -o packfile.bin',
      description: 'into a file',
    },
    {
      command: '<%= config.bin %> <%= command.id %> oci-layout:./store.oci packfile MAC --range 16:512 | xxd',
      description: 'a part of it',
    },
  ]

  static override flags = {
    output: Flags.string({
      char: 'o',
      description: 'write to this file, whole or not at all; - is standard output',
      helpValue: 'FILE',
    }),
    range: Flags.string({
      description: 'only LENGTH bytes from OFFSET on, cut at the end of the object',
      helpValue: 'OFFSET:LENGTH',
    }),
  }

  static override summary = 'read one object, or a part of it'

  async run(): Promise<GetResult | undefined> {
    const {args, flags} = await this.parse(Get)
    const range = flags.range === undefined ? undefined : parseRange(flags.range)
    const file = this.#destination(flags.output)
    const resource = args.resource as ResourceName
    if (resource === 'config' && args.mac !== undefined) throw new InvalidArgumentError('config: has no MAC')
    if (resource !== 'config' && args.mac === undefined)
      throw new InvalidArgumentError(`${resource}: the MAC is missing`)

    return this.withStore(args.store, flags, async (store) => {
      const {mac, stream} = await this.#open(store, {mac: args.mac, range, resource})
      const bytes = abortable(stream, this.signal)
      const progress = await this.startProgress(flags)
      const told = (size: number) => progress.update(`read ${humanSize(size)}`)
      const size = await writeContent(file, bytes, told)
      if (file !== STDOUT) this.print(`wrote ${file} (${humanSize(size)}, ${plural(size, 'byte')})`)
      return {file, mac, range, resource, size, store: store.location}
    })
  }

  /** @throws InvalidArgumentError when bytes would go where text is expected */
  #destination(output: string | undefined): string {
    const file = output ?? STDOUT
    if (file !== STDOUT) return file
    if (this.jsonEnabled()) {
      throw new InvalidArgumentError('standard output cannot hold both the object and the JSON document', {
        suggestions: ['Give -o FILE.'],
      })
    }

    if (output === undefined && process.stdout.isTTY) {
      throw new InvalidArgumentError('an object is binary, and standard output is a terminal', {
        suggestions: ['Give -o FILE, redirect it, or insist with -o -.', shellCommand('kloset-oci', 'get', '--help')],
      })
    }

    return file
  }

  async #open(
    store: KlosetStore,
    what: {mac: string | undefined; range: ObjectRange | undefined; resource: ResourceName},
  ) {
    const {mac: given, range} = what
    const {signal} = this
    if (given === undefined) {
      const config = await store.getConfig({signal})
      const stream = readableOf(range ? config.subarray(range.offset, range.offset + range.length) : config)
      return {mac: undefined, stream}
    }

    const resource = parseResource(what.resource)
    const mac = await store.resolveMac(resource, given, {signal})
    return {mac, stream: await store.get(resource, mac, {range, signal})}
  }
}

/** @throws InvalidArgumentError */
function parseRange(text: string): ObjectRange {
  const [, offset, length] = /^(\d{1,15}):(\d{1,15})$/.exec(text) ?? []
  if (offset !== undefined && length !== undefined) return {length: Number(length), offset: Number(offset)}
  throw new InvalidArgumentError(`--range: "${text.slice(0, 80)}" is not OFFSET:LENGTH`, {
    suggestions: ['Both are bytes, counted from 0: --range 0:16 is the first 16.'],
  })
}
