import {pMapIterable} from 'p-map'

import type {Repository} from '../../registry/interfaces.js'
import type {ConfigResult} from '../config-check.js'
import type {Finding} from '../findings.js'
import type {VerifyOptions, VerifyProgress} from './options.js'
import type {VerifySummary} from './summary.js'

import {KlosetOciError} from '../../errors.js'
import {formatUuid} from '../../kloset/configuration.js'
import {CONFIG_TAG, meaningOf, type Resource} from '../../kloset/resource.js'
import {DEFAULT_CONCURRENCY} from '../../kloset/store.js'
import {systemClock} from '../../util/clock.js'
import {ConfigBlobs} from '../config-blobs.js'
import {ContentKeys} from '../content-keys.js'
import {type CheckContext, type Subject} from '../context.js'
import {codecOf} from '../decoder.js'
import {Failures} from '../failures.js'
import {isDamage, isGap} from '../findings.js'
import {missingPackfiles} from '../missing-packfiles.js'
import {StateBook} from '../state-book.js'
import {Tally} from '../summary.js'
import {TAG_FLAGS, TagTable} from '../tag-table.js'
import {type AbsentContext, GoneObjects} from './absent.js'
import {Budget} from './budget.js'
import {packfileOf} from './changed.js'
import {configFindings, lookAtConfig} from './config-look.js'
import {Ghosts} from './ghosts.js'
import {StoreInside} from './inside.js'
import {JudgePool} from './judge-pool.js'
import {type Judges} from './judges.js'
import {LedgerKeeper} from './ledger-keeper.js'
import {ObjectVerifier} from './object-verifier.js'
import {type Outcome} from './outcome.js'
import {lostStates, misplacedBlob} from './packfile-against-states.js'
import {leftOut, type Plan, planPackfiles} from './plan.js'
import {ReadAhead} from './read-ahead.js'
import {chooseTier, covers, type Tier, type TierChoice} from './tier.js'

/** States are decompressed on this thread: more of them at once only take memory. */
const MAX_STATES_AT_ONCE = 4

/**
 * Verifies a store, and changes nothing. Iterate it for the findings, then ask for its `summary`. Damage is a value; it
 * throws for a repository that holds no store (`NotFoundError`), that cannot be listed, that lets us in no longer or
 * answers nothing any more, and for a tier whose key is not there.
 */
export function verify(repository: Repository, options: VerifyOptions = {}): Verify {
  return new Verify(repository, options)
}

/** Every finding at once, for stores that are known to be small. */
export async function collectVerify(
  repository: Repository,
  options: VerifyOptions = {},
): Promise<{readonly findings: readonly Finding[]; readonly summary: VerifySummary}> {
  const run = verify(repository, options)
  const findings: Finding[] = []
  for await (const found of run) findings.push(found)
  return {findings, summary: run.summary}
}

/** One verification under way. */
export class Verify implements AsyncIterable<Finding> {
  readonly #book = new StateBook()
  readonly #configBlobs = new ConfigBlobs()
  readonly #ghosts = new Ghosts()
  #inside: StoreInside | undefined
  #keeper!: LedgerKeeper
  #left = 0
  readonly #options: VerifyOptions
  #plan: Plan | undefined
  #progress: Omit<VerifyProgress, 'bytes'> = {done: 0, phase: 'states', total: 0}
  readonly #repository: Repository
  #snapshots: VerifySummary['snapshots']
  #started = 0
  #summary: undefined | VerifySummary
  readonly #tags = new TagTable()
  readonly #tally: Tally
  #unexplained = 0
  readonly #verified = {bytes: 0, objects: 0}
  #withKeys = false

  constructor(repository: Repository, options: VerifyOptions = {}) {
    this.#options = options
    this.#repository = repository
    this.#tally = new Tally(repository.location)
  }

  /** Whether every state was read and proven: what none knows, nobody needs. */
  get #canTell(): boolean {
    return this.#withKeys && this.#book.isWhole
  }

  /** What it came to, once the findings have been read to their end. */
  get summary(): VerifySummary {
    if (!this.#summary) throw new TypeError('the verification has not been read to its end')
    return this.#summary
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Finding> {
    const {secret} = this.#options
    const base = this.#context()
    const config = await this.#config(base)
    const {clock = systemClock, ledger} = this.#options
    const choice = await chooseTier(config.configuration, {secret, tier: this.#options.tier})
    this.#keeper = new LedgerKeeper(ledger, {clock, tier: choice.tier})
    const repositoryId = config.configuration && formatUuid(config.configuration.repositoryId)
    await ledger?.begin(repositoryId)
    try {
      for await (const found of this.#run(base, config, choice)) yield this.#tally.count(found)
    } finally {
      await this.#keeper.flush()
    }

    const summary = this.#tally.summary(true)
    this.#summary = {
      ...summary,
      ledger: this.#keeper.summary(this.#tags, this.#unexplained),
      left: this.#left,
      repositoryId,
      skipped: {sound: this.#plan?.sound ?? 0, unasked: this.#plan?.unasked ?? 0},
      snapshots: this.#snapshots,
      tier: choice.tier,
      tierReason: choice.reason,
      verdict: summary.verdict === 'clean' && this.#left > 0 ? 'partial' : summary.verdict,
      verified: {...this.#verified},
    }
  }

  /** Something that is not there: noted, and told when it is known what it costs. */
  async *#bad(found: Finding): AsyncGenerator<Finding> {
    await this.#keeper.bad(found.tag!, found.kind)
    if (!this.#inside?.hold({finding: found, packfile: packfileOf(found)})) yield found
  }

  async #config(context: CheckContext): Promise<ConfigResult> {
    const result = await lookAtConfig(context, this.#options.secret)
    this.#tally.bytes.config += result.size
    this.#verified.bytes += result.size
    if (result.manifest) this.#verified.objects += 1
    if (result.manifest?.content.config) this.#configBlobs.note(result.manifest.content.config, CONFIG_TAG)
    return result
  }

  #context(): CheckContext {
    return {
      deep: true,
      failures: new Failures(),
      keys: ContentKeys.unknown(),
      onBytes: (count) => {
        this.#tally.bytesRead += count
      },
      repository: this.#repository,
      signal: this.#options.signal,
    }
  }

  /** What the ledger knows and is not there any more. */
  async *#gone(context: AbsentContext): AsyncGenerator<Finding> {
    const accept = this.#options.acceptGone ?? false
    const gone = new GoneObjects(context, {accept, canTell: this.#canTell})
    yield* gone
    this.#unexplained = gone.unexplained
    this.#tally.notChecked.push(...gone.notChecked)
  }

  /** Tags without a manifest. */
  async *#judgeGhosts(): AsyncGenerator<Finding> {
    for await (const ghost of this.#ghosts.judged(this.#repository, this.#options.signal)) {
      if (ghost.kind === 'manifest-missing') yield* this.#bad(ghost)
      else yield ghost
    }
  }

  async #list(): Promise<void> {
    for await (const tag of this.#repository.tags({signal: this.#options.signal})) {
      const {isNew} = this.#tags.add(tag)
      if (!isNew) continue
      const meaning = meaningOf(tag)
      this.#tally.objects[meaning.kind === 'object' ? meaning.resource : meaning.kind] += 1
    }
  }

  /** States that have no tag, as the headers in a packfile tell. */
  async *#lostStates(subject: Subject, outcome: Outcome): AsyncGenerator<Finding> {
    const {clock = systemClock} = this.#options
    for (const lost of lostStates(subject, outcome, {book: this.#book, now: clock.now(), tags: this.#tags})) {
      yield* this.#bad(lost)
    }
  }

  async #makePlan(tier: Tier): Promise<Plan> {
    const {clock = systemClock, ledger, maxAge, signal, snapshots} = this.#options
    if (snapshots && !this.#inside) {
      throw new KlosetOciError('UNAUTHORIZED', 'which packfiles a snapshot needs is not known without the passphrase')
    }

    const plan = await planPackfiles({
      book: this.#book,
      ledger,
      maxAge,
      needed: snapshots && (await this.#inside!.packfilesOf(snapshots)),
      now: clock.now(),
      repository: this.#repository,
      selection: this.#options,
      signal,
      tags: this.#tags,
      tier,
    })
    this.#tally.notChecked.push(...leftOut(plan))
    return plan
  }

  /** Whether an object that was damaged may rightly be gone: every state can be read, and none needs it. */
  #mayBeGone(tag: string): boolean {
    const meaning = meaningOf(tag)
    if (meaning.kind !== 'object' || !this.#canTell) return false
    return meaning.resource !== 'packfile' || !this.#book.isExpected(meaning.mac)
  }

  /** Packfiles that states need and that have no tag. */
  async *#missing(context: AbsentContext): AsyncGenerator<Finding> {
    if (!this.#withKeys) return
    for await (const found of missingPackfiles({...context, list: context.tags})) {
      if (isGap(found)) yield found
      else yield* this.#bad(found)
    }
  }

  async *#objects(
    resource: Resource,
    verifier: ObjectVerifier,
    concurrency: number,
  ): AsyncGenerator<[Subject, Outcome]> {
    const total = resource === 'packfile' ? this.#plan!.order.length : this.#tally.objects[resource]
    this.#progress = {done: 0, phase: `${resource}s`, total}
    const outcomes = pMapIterable(
      resource === 'packfile' ? this.#planned() : this.#tags.subjects(resource),
      async (subject): Promise<[Subject, Outcome]> => {
        const outcome = await verifier.verifyTwice(subject)
        // At once: what it refers to may be more than the packfile itself.
        return [subject, this.#inside?.note(outcome) ?? outcome]
      },
      {backpressure: concurrency, concurrency},
    )
    for await (const [subject, outcome] of outcomes) {
      this.#tally.bytes[resource] += outcome.size
      this.#verified.bytes += outcome.size
      this.#verified.objects += 1
      if (outcome.config) this.#configBlobs.note(outcome.config, subject.tag)
      if (outcome.isEmptied) this.#tags.set(this.#tags.indexOf(subject.tag)!, TAG_FLAGS.emptied, true)
      const isOrphan = resource === 'packfile' && this.#canTell && !this.#book.knows(subject.mac!)
      await this.#keeper.note(subject, outcome, {isOrphan})
      this.#report()
      yield [subject, outcome]
    }
  }

  async *#packfiles(verifier: ObjectVerifier): AsyncGenerator<Finding> {
    const {concurrency = DEFAULT_CONCURRENCY} = this.#options
    for await (const [subject, outcome] of this.#objects('packfile', verifier, concurrency)) {
      yield* this.#tell(subject, outcome)
      yield* this.#lostStates(subject, outcome)
      const misplaced = misplacedBlob(subject, outcome, this.#book)
      if (!misplaced) continue
      await this.#keeper.bad(misplaced.tag!, misplaced.kind)
      yield misplaced
    }
  }

  /** Packfiles in their order, until the budget ends. */
  async *#planned(): AsyncGenerator<Subject> {
    const {clock = systemClock, maxBytes = Infinity, maxDuration = Infinity, signal} = this.#options
    const {order} = this.#plan!
    const repository = this.#repository
    const budget = new Budget({clock, maxBytes, maxDuration, repository, signal, started: this.#started})
    for (const [number, index] of order.entries()) {
      const subject = this.#tags.subject(index)!
      if (await budget.admits(subject.tag)) {
        yield subject
        continue
      }

      this.#left = order.length - number
      return
    }
  }

  #report(): void {
    this.#progress = {...this.#progress, done: this.#progress.done + 1}
    this.#options.onProgress?.({bytes: this.#tally.bytesRead, ...this.#progress})
  }

  async *#run(base: CheckContext, config: ConfigResult, choice: TierChoice): AsyncGenerator<Finding> {
    const {clock = systemClock, concurrency = DEFAULT_CONCURRENCY, secret} = this.#options
    const {keys, tier} = choice
    this.#started = clock.now()
    await this.#list()
    const isListed = this.#tags.hasTag(CONFIG_TAG)
    const {location} = this.#repository
    yield* configFindings(config, {isListed, location, objects: this.#tally.objects})
    const {findings, manifest, size} = config
    await this.#keeper.note({resource: 'config', tag: CONFIG_TAG}, {digest: manifest?.content.layer, findings, size})
    if (choice.finding) yield choice.finding
    if (choice.reason !== undefined) this.#tally.notChecked.push(`MACs and everything inside objects: ${choice.reason}`)
    const withKeys = keys && covers(tier, 'mac')
    this.#withKeys = withKeys === true
    const context: CheckContext = {
      ...base,
      keys: withKeys
        ? ContentKeys.known(keys.hashing, keys.key, {encrypted: keys.encryption !== undefined})
        : base.keys,
    }
    const judges: Judges | undefined = keys && new JudgePool(keys)
    const inside =
      keys &&
      new StoreInside({
        concurrency,
        onSnapshot: (done) => {
          this.#progress = {done: done - 1, phase: 'snapshots', total: done}
          this.#report()
        },
        repository: this.#repository,
        secret,
        signal: this.#options.signal,
        tags: this.#tags,
      })
    this.#inside = inside
    const verifier = new ObjectVerifier(context, {
      budget: new ReadAhead(judges),
      codec: withKeys ? await codecOf(config.configuration!, secret) : undefined,
      judges,
      placed: async (packfile) => inside?.placed(packfile),
      tier,
    })
    try {
      yield* this.#states(verifier, Math.min(concurrency, withKeys ? MAX_STATES_AT_ONCE : concurrency))
      for await (const [subject, outcome] of this.#objects('lock', verifier, concurrency)) {
        yield* this.#tell(subject, outcome)
      }

      this.#plan = await this.#makePlan(tier)
      yield* this.#packfiles(verifier)
      // Their memory is needed for what follows.
      await judges?.close()
      const absent: AbsentContext = {...context, book: this.#book, keeper: this.#keeper, tags: this.#tags}
      yield* this.#missing(absent)
      yield* this.#judgeGhosts()
      yield* this.#configBlobs.check(context)
      if (tier === 'data' && this.#keeper.suspectsSnapshots) inside?.suspect()
      yield* this.#settle()
      yield* this.#gone(absent)
      yield* this.#keeper.standing(this.#tags, (tag) => this.#mayBeGone(tag))
    } finally {
      await inside?.close()
      await judges?.close()
    }
  }

  /** What was held back, with what it costs. */
  async *#settle(): AsyncGenerator<Finding> {
    const inside = this.#inside
    try {
      const report = await inside?.settle()
      if (!report) {
        if (this.#withKeys && this.#options.map !== false)
          this.#snapshots = {damaged: [], total: this.#book.snapshotCount}
        return
      }

      const {damagedSnapshots, findings, snapshots} = report
      if (snapshots > 0) this.#snapshots = {damaged: damagedSnapshots, total: snapshots}
      const rootless = findings.filter(({object}) => object === undefined)
      await this.#keeper.snapshots(rootless.map(({kind}) => kind))
      yield* findings
    } catch (error) {
      // What is known is told, whatever became of the question what it costs.
      yield* inside?.told() ?? []
      throw error
    }
  }

  async *#states(verifier: ObjectVerifier, concurrency: number): AsyncGenerator<Finding> {
    for await (const [subject, outcome] of this.#objects('state', verifier, concurrency)) {
      if (outcome.notes) this.#book.add(subject.mac!, outcome.notes)
      else if (!outcome.isEmptied) this.#book.isWhole = false
      yield* this.#tell(subject, outcome)
    }

    for (const misnamed of this.#book.names.findings((tag) => this.#tags.isListed(tag))) {
      await this.#keeper.bad(misnamed.tag!, misnamed.kind)
      yield misnamed
    }
  }

  /** Findings, but for those that wait for an answer: whether the tag is still listed, and what a damage costs. */
  *#tell(subject: Subject, outcome: Outcome): Generator<Finding> {
    for (const found of outcome.findings) {
      if (found.kind === 'manifest-missing') this.#ghosts.add(found)
      else if (!isDamage(found) || this.#options.map === false || !this.#inside?.holdOutcome(subject, found, outcome))
        yield found
    }
  }
}
