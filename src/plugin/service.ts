import type {Repository} from '../registry/interfaces.js'
import type {RequestObserver} from '../registry/open.js'
import type {Clock} from '../util/clock.js'
import type {CallName} from './calls.js'
import type {PluginConfig} from './config.js'
import type {CallContext, Handler} from './rpc/call.js'

import {isNotFound, KlosetOciError} from '../errors.js'
import {createStore, openStore} from '../kloset/create.js'
import {MAX_LISTED} from '../kloset/list-limit.js'
import {type Mac} from '../kloset/mac.js'
import {DiskCache} from '../kloset/reader/disk-cache.js'
import {PackfileReader} from '../kloset/reader/packfile-reader.js'
import {type Resource} from '../kloset/resource.js'
import {KlosetStore, MODE_BITS} from '../kloset/store.js'
import {parseLocation} from '../registry/reference.js'
import {systemClock} from '../util/clock.js'
import {SERVICE} from './calls.js'
import {parseConfig} from './config.js'
import {Getter} from './get.js'
import {Locks} from './locks.js'
import {
  decodeConfig,
  decodeDelete,
  decodeInit,
  decodeListType,
  EMPTY_MESSAGE,
  encodeConfig,
  encodeInit,
  encodeList,
  encodeNumber,
} from './messages.js'
import {openConfigured} from './open-store.js'
import {OwnLocks} from './own-locks.js'
import {Putter} from './put.js'
import {macOf, resourceOf} from './resources.js'
import {RpcError, Status} from './rpc/status.js'

/** How long a Close waits for plakar to ask for the removal of its lock. */
const LOCK_WAIT_MS = 300

export interface StoreServiceOptions {
  readonly clock?: Clock | undefined
  /** Default: `process.env`. */
  readonly env?: NodeJS.ProcessEnv | undefined
  readonly onRequest?: RequestObserver | undefined
}

/** Everything that one Init opens. */
interface Opened {
  readonly config: PluginConfig
  readonly getter: Getter
  readonly locks: Locks
  readonly putter: Putter
  readonly reader: PackfileReader
  readonly repository: Repository
  readonly store: KlosetStore
}

type UnaryHandle = (request: Buffer, call: CallContext) => Promise<Buffer>

/** The calls of plakar's storage protocol over one store. */
export class StoreService {
  readonly #clock: Clock
  /** Closed for all but deletes. */
  #closed: Opened | undefined
  /** Deletes under way, whoever still waits for them. */
  readonly #deleting = new Set<Promise<unknown>>()
  readonly #env: NodeJS.ProcessEnv
  readonly #onRequest: RequestObserver | undefined
  #opened: Opened | undefined
  readonly #ownLocks = new OwnLocks()
  /** Puts under way: an upload that is given up has to be cancelled at the registry. */
  readonly #putting = new Set<Promise<unknown>>()

  constructor({clock = systemClock, env = process.env, onRequest}: StoreServiceOptions = {}) {
    this.#clock = clock
    this.#env = env
    this.#onRequest = onRequest
  }

  /** Whether something is under way that outlives its call. */
  get busy(): boolean {
    return this.#deleting.size + this.#putting.size > 0
  }

  /** Waits for the deletes, ends what else is under way and frees the connections. */
  async close(): Promise<void> {
    const closed = this.#opened ?? this.#closed
    this.#opened = undefined
    this.#closed = undefined
    closed?.reader.close()
    await Promise.allSettled(this.#deleting)
    await closed?.store.close()
  }

  /** As `close`, once every call has been given up: waits until the uploads of those are cancelled. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#putting)
    await this.close()
  }

  /** The calls by their path. */
  handlers(): Map<string, Handler> {
    const unary: Readonly<Record<Exclude<CallName, 'Get' | 'Put'>, UnaryHandle>> = {
      Close: async () => this.#close(),
      Create: async (request, call) => this.#create(request, call),
      Delete: async (request) => this.#delete(request),
      Init: async (request) => this.#init(request),
      List: async (request, call) => this.#list(request, call),
      Mode: async (_, call) => this.#mode(call),
      Open: async (_, call) => this.#open(call),
      Ping: async (_, call) => this.#ping(call),
      Size: async (_, call) => this.#size(call),
    }
    const handlers = new Map<string, Handler>()
    for (const [name, handle] of Object.entries(unary)) handlers.set(pathOf(name as CallName), {handle, kind: 'unary'})
    handlers.set(pathOf('Get'), {handle: (request, call) => this.#use().getter.get(request, call), kind: 'sending'})
    handlers.set(pathOf('Put'), {
      handle: async (call) => encodeNumber(await this.#put(call)),
      kind: 'receiving',
    })
    return handlers
  }

  /** plakar removes its lock beside its Close, and often after it: deletes are taken until it leaves. */
  async #close(): Promise<Buffer> {
    this.#closed = this.#opened ?? this.#closed
    this.#opened = undefined
    this.#closed?.reader.close()
    await this.#ownLocks.none(LOCK_WAIT_MS)
    await Promise.allSettled(this.#deleting)
    return EMPTY_MESSAGE
  }

  async #create(request: Buffer, {signal}: CallContext): Promise<Buffer> {
    const {repository} = this.#use()
    await createStore(repository, decodeConfig(request), {clock: this.#clock, signal})
    return EMPTY_MESSAGE
  }

  /**
   * Goes on when the call is cancelled or plakar has left: plakar does not wait for the answer when it removes its lock,
   * and a lock that stays keeps maintenance out for ten minutes.
   */
  async #delete(request: Buffer): Promise<Buffer> {
    const {mac: bytes, type} = decodeDelete(request)
    const resource = resourceOf(type)
    const mac = macOf(bytes)
    const work = remove(this.#opened ?? this.#closed ?? this.#use(), resource, mac)
    if (resource === 'lock') this.#ownLocks.removed(mac)
    await during(this.#deleting, work)
    return EMPTY_MESSAGE
  }

  async #init(request: Buffer): Promise<Buffer> {
    const config = parseConfig(decodeInit(request).config)
    const {cacheBytes, cacheDir: dir, cacheDirBytes, durable, maxRunBytes, pageBytes, spoolDir} = config
    const cache = dir === undefined ? undefined : await DiskCache.open({dir, maxBytes: cacheDirBytes})
    const repository = await openConfigured(config, {env: this.#env, onRequest: this.#onRequest})
    await this.close()
    const store = new KlosetStore(repository, {clock: this.#clock, concurrency: config.concurrency})
    const locks = new Locks(store, this.#clock)
    const reader = new PackfileReader(store, {cacheBytes, maxRunBytes, pageBytes})
    const getter = new Getter({cache, locks, reader, store})
    const putter = new Putter(store, {durable, spoolDir})
    this.#opened = {config, getter, locks, putter, reader, repository, store}
    return encodeInit({flags: 0, origin: originOf(config.location), root: repository.location, type: 'oci'})
  }

  async #list(request: Buffer, {signal}: CallContext): Promise<Buffer> {
    const resource = resourceOf(decodeListType(request))
    const {locks, store} = this.#use()
    if (resource === 'lock') return encodeList(await locks.list({signal}))
    const macs: Mac[] = []
    for await (const mac of store.list(resource, {signal})) macs.push(mac)
    if (macs.length > MAX_LISTED) throw tooMany(resource, macs.length)
    return encodeList(macs)
  }

  async #mode({signal}: CallContext): Promise<Buffer> {
    const {config, store} = this.#use()
    const {read, write} = await store.mode({signal})
    return encodeNumber((read ? MODE_BITS.read : 0) + (write && !config.readOnly ? MODE_BITS.write : 0))
  }

  async #open({signal}: CallContext): Promise<Buffer> {
    const {repository} = this.#use()
    const {store} = this.#use()
    try {
      return encodeConfig(await store.getConfig({signal}))
    } catch (error) {
      if (!isNotFound(error)) throw error
      // Says what there is instead of a store.
      const opened = await openStore(repository, {clock: this.#clock, signal})
      return encodeConfig(await opened.getConfig({signal}))
    }
  }

  async #ping({signal}: CallContext): Promise<Buffer> {
    await this.#use().store.ping({signal})
    return EMPTY_MESSAGE
  }

  async #put(call: Parameters<Putter['put']>[0]): Promise<number> {
    const opened = this.#use()
    const {mac, resource, size} = await during(this.#putting, opened.putter.put(call))
    forget(opened, resource, mac)
    if (resource === 'lock') this.#ownLocks.put(mac)
    return size
  }

  async #size({signal}: CallContext): Promise<Buffer> {
    return encodeNumber(await this.#use().store.size({signal}))
  }

  #use(): Opened {
    if (this.#opened) return this.#opened
    throw new RpcError(
      Status.FAILED_PRECONDITION,
      'the store is not open: plakar has not called Init, or has closed it',
    )
  }
}

/** An object that is not there is deleted already: somebody else may have been first. */
async function remove(opened: Opened, resource: Resource, mac: Mac): Promise<void> {
  forget(opened, resource, mac)
  try {
    await opened.store.delete(resource, mac)
  } catch (error) {
    if (!isNotFound(error)) throw error
  } finally {
    forget(opened, resource, mac)
  }
}

/** The work's outcome; until then it is in the set. */
async function during<T>(set: Set<Promise<unknown>>, work: Promise<T>): Promise<T> {
  set.add(work)
  try {
    return await work
  } finally {
    set.delete(work)
  }
}

function forget({locks, reader}: Opened, resource: Resource, mac: Mac): void {
  if (resource === 'lock') locks.forget(mac)
  if (resource === 'packfile') reader.forget(mac)
}

function originOf(location: string): string {
  const parsed = parseLocation(location)
  if (parsed.kind === 'layout') return parsed.path
  return `${parsed.reference.registry}/${parsed.reference.repository}`
}

function pathOf(name: CallName): string {
  return `/${SERVICE}/${name}`
}

function tooMany(resource: Resource, count: number): KlosetOciError {
  return new KlosetOciError(
    'UNSUPPORTED',
    `the store has ${count} ${resource}s and plakar takes a list of ${MAX_LISTED} at the most (4 MiB)`,
    {
      facts: {count, limit: MAX_LISTED, resource},
      suggestions: ['Start a new store for new backups, and `plakar sync` the snapshots that are still needed into it'],
    },
  )
}
