import type {Secret} from '../../kloset/codec/secret.js'
import type {Mac} from '../../kloset/mac.js'
import type {CallOptions, Repository} from '../../registry/interfaces.js'

import {hasCode, KlosetOciError} from '../../errors.js'
import {StoreContents} from '../../kloset/contents.js'
import {StateIndex} from '../../kloset/state.js'
import {KlosetStore} from '../../kloset/store.js'

/** What a store's own states say of packfiles that have gone. They are read when the first one is asked for. */
export class Explanations {
  #contents: Promise<StoreContents | undefined> | undefined
  readonly #from: Repository
  readonly #options: CallOptions & {readonly secret: Secret | undefined}

  constructor(from: Repository, options: CallOptions & {readonly secret: Secret | undefined}) {
    this.#from = from
    this.#options = options
  }

  /** Whether plakar's maintenance has deleted a packfile. False too when nobody can tell: without the passphrase. */
  async isDeleted(packfile: Mac): Promise<boolean> {
    this.#contents ??= this.#open()
    const contents = await this.#contents
    // What an unreadable state says is not known: it may be the one that knows the packfile.
    if (!contents || contents.unreadable.length > 0) return false
    const known = contents.index.packfile(packfile)
    return known !== undefined && (!known.known || known.coloured !== undefined)
  }

  async #open(): Promise<StoreContents | undefined> {
    const {secret, signal} = this.#options
    try {
      // Where blobs lie is of no interest here.
      const createIndex = () => new StateIndex({keep: () => false})
      return await StoreContents.open(new KlosetStore(this.#from), {createIndex, secret, signal})
    } catch (error) {
      if (!(error instanceof KlosetOciError) || hasCode(error, 'INTERRUPTED')) throw error
      return undefined
    }
  }
}
