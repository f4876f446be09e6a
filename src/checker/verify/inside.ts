import type {Secret} from '../../kloset/codec/secret.js'
import type {Repository} from '../../registry/interfaces.js'
import type {Subject} from '../context.js'
import type {Finding} from '../findings.js'
import type {TagTable} from '../tag-table.js'
import type {Outcome} from './outcome.js'

import {StoreFormatError} from '../../errors.js'
import {type OpenContentsOptions, StoreContents} from '../../kloset/contents.js'
import {isObjectFault} from '../../kloset/faults.js'
import {type Mac, macToBytes} from '../../kloset/mac.js'
import {RECORD_BYTES, writeRecord} from '../../kloset/packfile.js'
import {tagOf} from '../../kloset/resource.js'
import {KlosetStore} from '../../kloset/store.js'
import {ByteList} from '../../util/byte-list.js'
import {KeyTable} from '../key-table.js'
import {type Damage, type DamageReport, mapDamage} from './damage-map.js'
import {LocationLog} from './location-log.js'
import {packfilesOfSnapshots} from './needed-packfiles.js'
import {NO_VERDICT} from './packfile-judge.js'
import {ReferenceAudit} from './reference-audit.js'
import {referenceTo} from './references.js'

const MIB = 1024 * 1024

/** Findings held back until it is known what they cost; further ones are told without that. */
const MAX_HELD = 10_000

export interface InsideOptions {
  readonly concurrency: number
  readonly onSnapshot: (done: number) => void
  readonly repository: Repository
  readonly secret: Secret | undefined
  readonly signal: AbortSignal | undefined
  readonly tags: TagTable
}

/**
 * What a store is inside, for those who have its key: whether what blobs refer to is there, and which files a damage
 * costs. Its states are read when they are first needed.
 */
export class StoreInside {
  readonly #audit = new ReferenceAudit()
  #contents: Promise<StoreContents | undefined> | undefined
  readonly #damages: Damage[] = []
  readonly #hasPackfile = (mac: Mac): boolean => this.#options.tags.hasTag(tagOf('packfile', mac))
  #hasSuspects = false
  readonly #headers = new KeyTable(32)
  readonly #options: InsideOptions

  constructor(options: InsideOptions) {
    this.#options = options
  }

  async close(): Promise<void> {
    this.#audit.dispose()
    const contents = await this.#contents?.catch(() => {})
    contents?.close()
  }

  /** @returns false when the finding has to be told as it is */
  hold(damage: Damage): boolean {
    if (this.#damages.length >= MAX_HELD) return false
    this.#damages.push(damage)
    return true
  }

  /** Holds what a look at an object found. */
  holdOutcome({mac, resource}: Subject, found: Finding, {lost}: Outcome): boolean {
    // A blob that is told beside its packfile takes only itself.
    const blob = found.blob && lost && referenceTo(found.blob.mac, lost)
    const isPackfile = resource === 'packfile'
    return this.hold({
      finding: found,
      lost: found.blob ? (blob ?? new Uint8Array(0)) : lost,
      packfile: isPackfile ? mac : undefined,
    })
  }

  /**
   * Notes what a packfile's blobs refer to: whether it is there is looked into at the end.
   * @returns the outcome without what was noted
   */
  note(outcome: Outcome): Outcome {
    const {verdict} = outcome
    if (!verdict) return outcome
    for (const mac of verdict.snapshots) this.#headers.add(macToBytes(mac))
    if (!this.#hasSuspects) this.#audit.note(verdict.references)
    return {...outcome, verdict: {...verdict, references: NO_VERDICT.references}}
  }

  /**
   * Packfiles that snapshots need, damaged parts of them left out.
   * @param prefixes of their identifiers
   * @throws NotFoundError when there is no such snapshot, InvalidArgumentError when there are several
   */
  async packfilesOf(prefixes: readonly string[]): Promise<ReadonlySet<Mac>> {
    const contents = await this.#open()
    if (!contents) throw new StoreFormatError('CONFIG could not be read: what snapshots need is not known')
    return packfilesOfSnapshots(contents, prefixes, this.#options.signal)
  }

  /** Records of where the states place the blobs of a packfile. */
  async placed(packfile: Mac): Promise<Uint8Array | undefined> {
    const contents = await this.#open()
    if (!contents) return undefined
    const records = new ByteList()
    for (const location of contents.index.locationsIn(packfile)) {
      const {at, memory} = records.extend(RECORD_BYTES)
      writeRecord(memory, location, at)
    }

    // Memory of its own: it goes to another thread.
    return records.length > 0 ? records.copy() : undefined
  }

  /** What all that was held costs, when there is reason to look. */
  async settle(): Promise<DamageReport | undefined> {
    if (this.#damages.length === 0 && !this.#hasSuspects && (await this.#isSound())) return undefined
    const contents = await this.#open()
    if (!contents) return {damagedSnapshots: [], findings: this.told(), snapshots: 0}
    const {onSnapshot, signal} = this.#options
    const damages = this.#damages.map((damage) => ({...damage, finding: this.#withOwnSnapshot(damage.finding)}))
    const report = await mapDamage(contents, damages, {hasPackfile: this.#hasPackfile, onSnapshot, signal})
    this.#damages.length = 0
    return report
  }

  /** Has every snapshot gone through at the end, whatever is found until then. */
  suspect(): void {
    this.#hasSuspects = true
  }

  /** What is held, as it is. */
  told(): Finding[] {
    return this.#damages.splice(0).map(({finding}) => finding)
  }

  /** Whether everything that was noted is there: then no snapshot has to be gone through. */
  async #isSound(): Promise<boolean> {
    if (this.#audit.isEmpty) return true
    let log: LocationLog | undefined
    const createIndex = () => {
      log?.dispose()
      log = new LocationLog({hasPackfile: this.#hasPackfile})
      return log
    }

    try {
      await this.#read({createIndex})
      return log === undefined || (await this.#audit.isSound(log, this.#options.signal))
    } finally {
      log?.dispose()
    }
  }

  async #open(): Promise<StoreContents | undefined> {
    this.#contents ??= this.#read()
    return this.#contents
  }

  async #read(options: Pick<OpenContentsOptions, 'createIndex'> = {}): Promise<StoreContents | undefined> {
    const {concurrency, repository, secret, signal} = this.#options
    return StoreContents.open(new KlosetStore(repository), {
      ...options,
      cacheBytes: 48 * MIB,
      concurrency: Math.min(concurrency, 4),
      // Packfiles may be in memory beside them.
      keptBytes: 8 * MIB,
      secret,
      signal,
    }).catch((error: unknown): undefined => {
      if (!isObjectFault(error)) throw error
    })
  }

  /** A state is named by the snapshot that wrote it, when it was one: its header was seen, then. */
  #withOwnSnapshot(found: Finding): Finding {
    const {mac, resource} = found.object ?? {}
    if (resource !== 'state' || !mac || !this.#headers.has(macToBytes(mac))) return found
    return {...found, snapshots: [mac]}
  }
}
