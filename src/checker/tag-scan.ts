import {pMapIterable} from 'p-map'

import type {Secret} from '../kloset/codec/secret.js'
import type {Finding} from './findings.js'
import type {References} from './references.js'
import type {Tally} from './summary.js'

import {meaningOf, type Resource} from '../kloset/resource.js'
import {trialOf} from '../registry/trial-tags.js'
import {type ConfigBlobs} from './config-blobs.js'
import {checkConfig, type ConfigResult} from './config-check.js'
import {detailsOf, type ObjectResult, type Subject} from './context.js'
import {finding} from './failures.js'
import {checkForeign} from './foreign-check.js'
import {checkLock, type LockContext} from './lock-check.js'
import {checkObject} from './object-check.js'
import {DigestTable, TAG_FLAGS, TagTable} from './tag-table.js'

/** A tag is looked at in so many listings before it is called a ghost: a list can be older than a removal. */
const MAX_ROUNDS = 3
const NAMED_TRIALS = 10

export interface ScanOptions {
  readonly concurrency: number
  readonly config: ConfigResult
  readonly configBlobs: ConfigBlobs
  readonly context: LockContext
  readonly onTag: (phase: 'recheck' | 'tags') => void
  readonly references: References
  readonly secret: Secret | undefined
  readonly tally: Tally
}

interface Item {
  readonly index: number
  readonly isNew: boolean
  /** None for a foreign tag. */
  readonly subject: Subject | undefined
  readonly tag: string
}

/** What one look at a tag came to. */
interface Look {
  /** Takes it as it is: into the counts, and out as findings. */
  readonly accept: () => Finding[]
  /** Nothing is wrong but that there is no manifest. */
  readonly isGhost: boolean
  readonly isWrong: boolean
}

/** Walks over a repository's tags, again and again until what it found stays as it is. */
export class TagScan {
  readonly table = new TagTable()
  /** Tags of the last list that trials of a registry have made. */
  readonly trials: {count: number; first: string[]} = {count: 0, first: []}
  /** Number of the tag that each manifest was first seen under. */
  readonly #holders: number[] = []
  readonly #manifests = new DigestTable()
  readonly #options: ScanOptions

  constructor(options: ScanOptions) {
    this.#options = options
  }

  /** The first look at every tag. What is wrong is kept back: it may be changing at this moment. */
  async *first(): AsyncGenerator<Finding> {
    yield* this.#each(this.#listed('first'), async (item) => {
      this.#options.onTag('tags')
      const look = await this.#look(item, this.#options.config)
      this.table.set(item.index, TAG_FLAGS.suspect, look.isWrong)
      return look.isWrong ? [] : look.accept()
    })
  }

  /** Whether nothing is left under a tag: its removal was cut off. */
  isEmptied(tag: string): boolean {
    return this.table.isEmptied(tag)
  }

  /** Whether the tag was in the last list, and not one of a removed object. */
  isListed(tag: string): boolean {
    const index = this.table.indexOf(tag)
    return index !== undefined && !this.#isGone(index)
  }

  /** Objects of one kind in the last list, removed ones aside, and whether something was said of them already. */
  *listed(resource: Resource): Generator<{readonly isTold: boolean; readonly subject: Subject}> {
    for (let index = 0; index < this.table.size; index++) {
      const subject = this.table.subject(index)
      if (subject?.resource !== resource || this.#isGone(index)) continue
      yield {isTold: this.table.has(index, TAG_FLAGS.told), subject}
    }
  }

  /** The list again, and another look at everything that was wrong: what is still wrong is said. */
  async *rounds(): AsyncGenerator<Finding> {
    for (let round = 1; round <= MAX_ROUNDS; round++) {
      for (let index = 0; index < this.table.size; index++) this.table.set(index, TAG_FLAGS.listed, false)
      yield* this.#each(this.#listed('again'), async (item) => this.#lookAgain(item, round))
      yield* this.#vanished()
      if (!this.#hasSuspects()) return
    }
  }

  /** What is known of an accepted result goes into the counts. */
  #account(
    {index, subject}: {readonly index: number; readonly subject: Subject},
    {findings, isEmptied = false, manifest, size}: ObjectResult,
  ): Finding[] {
    const {configBlobs, references, tally} = this.#options
    tally.bytes[subject.resource] += size
    const isTold = findings.some(({kind, severity}) => severity === 'error' || kind === 'unknown-version')
    this.table.set(index, TAG_FLAGS.told, isTold)
    this.table.set(index, TAG_FLAGS.emptied, isEmptied)
    // A manifest that cannot be read is a tag's all the same.
    for (const {digest} of findings) if (digest) references.add(digest)
    if (!manifest) return []
    const {config, layer} = manifest.content
    if (config) configBlobs.note(config, subject.tag)
    references.add(manifest.digest, layer, ...(config ? [config.digest] : []))
    return this.#shared(manifest.digest, index, subject)
  }

  async *#each(items: AsyncIterable<Item>, look: (item: Item) => Promise<Finding[]>): AsyncGenerator<Finding> {
    const {concurrency} = this.#options
    for await (const findings of pMapIterable(items, look, {backpressure: concurrency * 4, concurrency}))
      yield* findings
  }

  async #examine(subject: Subject, config: ConfigResult | undefined): Promise<ObjectResult> {
    const {context, secret} = this.#options
    if (subject.resource === 'config') return config ?? checkConfig(context, {secret})
    const isLock = subject.resource === 'lock'
    const result = await checkObject(subject, {...context, deep: context.deep || isLock})
    if (!isLock || result.findings.some(({kind, severity}) => severity === 'error' || kind === 'unknown-version')) {
      return result
    }

    return {...result, findings: [...result.findings, ...(await checkLock(subject, result, context))]}
  }

  #hasSuspects(): boolean {
    for (let index = 0; index < this.table.size; index++) if (this.table.has(index, TAG_FLAGS.suspect)) return true
    return false
  }

  #isGone(index: number): boolean {
    return this.table.has(index, TAG_FLAGS.gone) || this.table.has(index, TAG_FLAGS.emptied)
  }

  async *#listed(mode: 'again' | 'first'): AsyncGenerator<Item> {
    const {context, tally} = this.#options
    const {repository, signal} = context
    Object.assign(this.trials, {count: 0, first: []})
    for await (const tag of repository.tags({signal})) {
      const {index, isNew} = this.table.add(tag)
      this.table.set(index, TAG_FLAGS.listed, true)
      const wasGone = this.table.has(index, TAG_FLAGS.gone)
      this.table.set(index, TAG_FLAGS.gone, false)
      const meaning = meaningOf(tag)
      const resource = meaning.kind === 'object' ? meaning.resource : meaning.kind
      if (isNew || wasGone) tally.objects[resource] += 1
      if (resource === 'foreign' && trialOf(tag) !== undefined) this.#noteTrial(tag)
      if (!isNew && (mode === 'first' || !this.table.has(index, TAG_FLAGS.suspect))) continue
      const subject: Subject | undefined =
        resource === 'foreign' ? undefined : {mac: meaning.kind === 'object' ? meaning.mac : undefined, resource, tag}
      yield {index, isNew, subject, tag}
    }
  }

  /** @param config what is known of CONFIG, to save a look at it */
  async #look(item: Item, config?: ConfigResult): Promise<Look> {
    const {context, references} = this.#options
    const {index, subject, tag} = item
    if (!subject) {
      const digest = await checkForeign(tag, references, context)
      return {accept: () => (digest ? this.#shared(digest, index, undefined, tag) : []), isGhost: false, isWrong: false}
    }

    const result = await this.#examine(subject, config)
    const errors = result.findings.filter(({severity}) => severity === 'error')
    return {
      accept: () => [...result.findings, ...this.#account({index, subject}, result)],
      isGhost: errors.length > 0 && errors.every(({kind}) => kind === 'manifest-missing'),
      // A removal that is under way has a stand-in too, for a moment.
      isWrong: errors.length > 0 || result.findings.some(({kind}) => kind === 'removal-cut-off'),
    }
  }

  async #lookAgain(item: Item, round: number): Promise<Finding[]> {
    this.#options.onTag('recheck')
    const {index, isNew, subject, tag} = item
    const look = await this.#look(item)
    const waits = look.isWrong && round < MAX_ROUNDS && (isNew || (look.isGhost && round === 1))
    this.table.set(index, TAG_FLAGS.suspect, waits)
    if (waits) return []
    if (look.isWrong || isNew || !subject) return look.accept()
    const changed = finding('changed-while-reading', `${tag}: was written or restored during the check`, {
      ...detailsOf(subject),
      snapshots: undefined,
    })
    return [changed, ...look.accept()]
  }

  #noteTrial(tag: string): void {
    this.trials.count += 1
    if (this.trials.first.length < NAMED_TRIALS) this.trials.first.push(tag)
  }

  /** Two tags on one manifest, told when the second is seen. */
  #shared(
    digest: Parameters<DigestTable['add']>[0],
    index: number,
    subject: Subject | undefined,
    foreignTag?: string,
  ): Finding[] {
    const {index: manifest, isNew} = this.#manifests.add(digest)
    if (isNew) this.#holders[manifest] = index
    const holder = this.#holders[manifest]!
    if (holder === index) return []
    const first = this.table.subject(holder)
    const named = subject ?? first
    if (!named) return []
    const other = subject ? (first?.tag ?? 'a foreign tag') : (foreignTag ?? 'a foreign tag')
    return [
      finding('shared-digest', `${named.tag}: shares its manifest with ${other.slice(0, 160)}`, {
        ...detailsOf(named),
        digest,
        found: other.slice(0, 160),
        snapshots: undefined,
      }),
    ]
  }

  *#vanished(): Generator<Finding> {
    const {tally} = this.#options
    for (let index = 0; index < this.table.size; index++) {
      if (this.table.has(index, TAG_FLAGS.listed) || this.table.has(index, TAG_FLAGS.gone)) continue
      this.table.set(index, TAG_FLAGS.gone, true)
      this.table.set(index, TAG_FLAGS.suspect, false)
      const subject = this.table.subject(index)
      tally.objects[subject?.resource ?? 'foreign'] -= 1
      if (!subject) continue
      const message = `${subject.tag}: its tag was removed during the check`
      yield finding('changed-while-reading', message, {...detailsOf(subject), snapshots: undefined})
    }
  }
}
