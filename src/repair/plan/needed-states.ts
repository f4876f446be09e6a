import type {Mac} from '../../kloset/mac.js'
import type {Source} from '../sources/source.js'
import type {PlanContext} from './context.js'

import {mapDamage} from '../../checker/verify/damage-map.js'
import {KlosetOciError} from '../../errors.js'
import {blobKey, blobTypeName} from '../../kloset/blob-type.js'
import {StoreContents} from '../../kloset/contents.js'
import {tagOf} from '../../kloset/resource.js'
import {KlosetStore} from '../../kloset/store.js'
import {listStore} from '../../transfer/listing.js'
import {type CopiedState, readStateFacts} from '../state-facts.js'
import {tagStateOf} from '../tag-state.js'
import {draft} from './draft.js'
import {diagnose} from './heal.js'

/**
 * Blobs that snapshots need and that no state of the store places anywhere: a state was lost together with its packfiles,
 * of which the store itself has no trace. A source that has both can bring them back.
 */
export class NeededStates {
  readonly #context: PlanContext
  #missing: ReadonlySet<string> = new Set()

  constructor(context: PlanContext) {
    this.#context = context
  }

  /** Whether such blobs were there when it was looked last. */
  get areMissing(): boolean {
    return this.#missing.size > 0
  }

  /** Looks at the store as it will be, and plans for states of the sources that place what is missing. @returns whether one was found */
  async bring(): Promise<boolean> {
    const {sources} = this.#context
    this.#missing = await this.#lookUp()
    let isFound = false
    for (const source of sources) if (this.areMissing && (await this.#bringFrom(source))) isFound = true
    return isFound
  }

  async #bringFrom(source: Source): Promise<boolean> {
    const {book, keys, overlay, repository, signal} = this.#context
    let isFound = false
    for await (const name of source.states({signal})) {
      if ((await tagStateOf(overlay, name.tag, {signal})) !== 'absent') continue
      for await (const copy of source.copies(name, {signal})) {
        const facts = await readStateFacts(copy, keys!, {placing: this.#missing, signal}).catch((error: unknown) => {
          if (!(error instanceof KlosetOciError) || error.code === 'INTERRUPTED') throw error
        })
        if (!facts || facts.places.size === 0 || !(await this.#hasAny(facts))) continue
        await book.rely(repository, name.tag, signal)
        const diagnosis = await diagnose({...name, findings: []}, this.#context)
        if (diagnosis.kind !== 'heal') continue
        const message = `${name.tag}: has no tag, and tells where blobs lie that snapshots need and no other state knows`
        book.add(draft(name, diagnosis.action, {sources: book.locations, why: [{message}]}))
        overlay.heal(name, diagnosis.copy)
        isFound = true
        break
      }
    }

    return isFound
  }

  /** Whether one of the packfiles can be had: a state that only tells of what is lost heals nothing. */
  async #hasAny({places}: CopiedState): Promise<boolean> {
    for (const mac of places) {
      const diagnosis = await diagnose(
        {findings: [], mac, resource: 'packfile', tag: tagOf('packfile', mac)},
        this.#context,
      )
      if (diagnosis.kind !== 'lost') return true
    }

    return false
  }

  async #lookUp(): Promise<ReadonlySet<string>> {
    const {keys, onSnapshot, overlay, signal} = this.#context
    const {macs} = await listStore(overlay, {signal})
    const hasPackfile = (mac: Mac) => macs.packfile.has(mac)
    const contents = await StoreContents.open(new KlosetStore(overlay), {secret: keys!.secret, signal})
    try {
      const {findings} = await mapDamage(contents, [], {hasPackfile, onSnapshot, signal})
      const missing = new Set(
        findings.flatMap(({blob, kind}) =>
          kind === 'reference-missing' && blob ? [blobKey(blob.type, blob.mac)] : [],
        ),
      )
      if (missing.size === 0) return missing
      // What lies in a packfile that is lost is told with that.
      for (const {mac, packfile, type} of contents.index.allLocations()) {
        const known = contents.index.packfile(packfile)
        if (known?.known && known.coloured === undefined) missing.delete(blobKey(blobTypeName(type), mac))
      }

      return missing
    } finally {
      contents.close()
    }
  }
}
