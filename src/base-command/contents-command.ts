import {Flags} from '@oclif/core'

import type {Filesystem, Snapshot} from '../kloset/snapshot/index.js'
import type {StoreFlags} from './store-command.js'

import {textArg} from '../cli/args.js'
import {humanCount, plural} from '../cli/format.js'
import {neededSecret, type PassphraseFlags} from '../cli/passphrase.js'
import {resolveSnapshot} from '../kloset/catalog.js'
import {StoreContents} from '../kloset/contents.js'
import {KlosetStore} from '../kloset/store.js'
import {openSnapshot} from '../restore/open-snapshot.js'
import {rootOf} from '../restore/selection.js'
import {StoreCommand} from './store-command.js'

/** Which snapshot. */
export const snapshotArg = textArg({
  description: "a snapshot's identifier, the beginning of one only, or latest",
  name: 'ID',
  required: true,
})

export const sourceFlag = Flags.integer({
  default: 0,
  description: 'which source of a snapshot that has several, counted from 0',
  helpValue: 'N',
  min: 0,
})

/** A snapshot with its files at hand. */
export interface OpenedSnapshot {
  readonly contents: StoreContents
  readonly files: Filesystem
  /** The folder that was backed up. */
  readonly root: string
  readonly snapshot: Snapshot
}

/** A command that reads what is in a store. */
export abstract class ContentsCommand extends StoreCommand {
  /** Opens the store with its secret and takes in its states, for the time of `work`. */
  protected async withContents<T>(
    location: string,
    flags: PassphraseFlags & StoreFlags,
    work: (contents: StoreContents) => Promise<T>,
  ): Promise<T> {
    return this.withRepository(location, flags, async (repository) => {
      const {signal} = this
      const store = new KlosetStore(repository, {concurrency: flags.concurrency})
      const secret = await neededSecret(store, flags, signal)
      const progress = await this.startProgress(flags)
      const onState = (done: number) => progress.update(`reading states: ${humanCount(done)}`)
      const contents = await StoreContents.open(store, {concurrency: flags.concurrency, onState, secret, signal})
      try {
        const missing = contents.unreadable.length
        if (missing > 0) {
          progress.stop()
          this.note(
            `warning: ${plural(missing, 'state')} cannot be read: snapshots may be missing, or there that are deleted`,
          )
        }

        return await work(contents)
      } finally {
        contents.close()
      }
    })
  }

  /** The same, with one snapshot opened. */
  protected async withSnapshot<T>(
    {id, source, store}: {readonly id: string; readonly source: number; readonly store: string},
    flags: PassphraseFlags & StoreFlags,
    work: (opened: OpenedSnapshot) => Promise<T>,
  ): Promise<T> {
    return this.withContents(store, flags, async (contents) => {
      const snapshot = await openSnapshot(contents, await resolveSnapshot(contents, id))
      const files = await snapshot.files(source)
      return work({contents, files, root: await rootOf(snapshot, files, source), snapshot})
    })
  }
}
