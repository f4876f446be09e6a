import type {Mac} from '../../kloset/mac.js'
import type {CallOptions, Repository} from '../../registry/interfaces.js'
import type {Failures} from '../failures.js'
import type {Finding} from '../findings.js'
import type {StateBook} from '../state-book.js'
import type {TagTable} from '../tag-table.js'
import type {LedgerKeeper} from './ledger-keeper.js'

import {meaningOf, type Resource} from '../../kloset/resource.js'
import {detailsOf, type Subject} from '../context.js'
import {finding} from '../failures.js'
import {lookForUnlisted} from '../missing-packfiles.js'

/** What absences are judged by. */
export interface AbsentContext extends CallOptions {
  readonly book: StateBook
  readonly failures: Failures
  readonly keeper: LedgerKeeper
  readonly repository: Repository
  readonly tags: TagTable
}

type ObjectSubject = Subject & {readonly mac: Mac}

/**
 * Objects that a ledger knows and that have no tag any more. plakar deletes no state; packfiles it deletes are told of by
 * states. What goes otherwise leaves no trace in the store: a state that is lost with all of its packfiles, above all.
 */
export class GoneObjects {
  /** Objects that nothing explains. */
  unexplained = 0
  readonly #accept: boolean
  readonly #canTell: boolean
  readonly #context: AbsentContext
  /** Packfiles of which nobody could say whether maintenance has deleted them. */
  #undecided = 0

  /** @param options `canTell` when every state was read and proven; `accept` takes what nothing explains as meant to */
  constructor(context: AbsentContext, {accept, canTell}: {readonly accept: boolean; readonly canTell: boolean}) {
    this.#accept = accept
    this.#canTell = canTell
    this.#context = context
  }

  /** What could not be told, in sentences. */
  get notChecked(): string[] {
    if (this.#undecided === 0) return []
    return [
      `whether maintenance has deleted ${this.#undecided} packfiles that the ledger knows and that are there no more: the states say so, and not all were read`,
    ]
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Finding> {
    const {keeper, tags} = this.#context
    await keeper.flush()
    for (const {isOrphan, soundAt, tag} of keeper.known()) {
      const meaning = meaningOf(tag)
      if (meaning.kind !== 'object' || meaning.resource === 'lock' || tags.hasTag(tag)) continue
      const subject = {mac: meaning.mac, resource: meaning.resource, tag}
      if (isOrphan || this.#isExplained(subject)) await keeper.gone(tag)
      else if (subject.resource === 'packfile' && !this.#canTell) this.#undecided++
      else yield* this.#judge(subject, soundAt)
    }
  }

  #isExplained({mac, resource}: {readonly mac: Mac; readonly resource: Resource}): boolean {
    const {book} = this.#context
    if (!this.#canTell) return false
    return resource === 'state' ? book.isDeletedSnapshot(mac) : book.knows(mac) && !book.isExpected(mac)
  }

  async *#judge(subject: ObjectSubject, soundAt: number): AsyncGenerator<Finding> {
    const {keeper} = this.#context
    const {mac, resource, tag} = subject
    const found = await lookForUnlisted(subject, this.#context)
    if (found !== 'missing') {
      if (found !== 'appeared') yield found
      return
    }

    if (this.#accept) {
      await keeper.gone(tag)
      return
    }

    this.unexplained++
    const when = new Date(soundAt).toISOString()
    const message = `${tag}: was found sound on ${when}, is not there any more, and no state says that it was deleted`
    const snapshots = resource === 'state' ? [mac] : ('unknown' as const)
    yield finding('object-gone', message, {...detailsOf(subject), found: when, snapshots})
  }
}
