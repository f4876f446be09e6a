import type {Mac} from '../kloset/mac.js'
import type {ResourceName} from '../kloset/resource.js'
import type {PassingCheck} from './fetched-source.js'

import {IntegrityError} from '../errors.js'
import {checkHeader, EnvelopeChecker, EnvelopeWindow} from '../kloset/envelope.js'
import {CONFIG_HASHING, type Hasher, HasherPool, type Hashing} from '../kloset/hashing.js'

/** An object whose MAC is to be checked on its way. */
export interface Checked {
  readonly mac: Mac | undefined
  readonly resource: ResourceName
  readonly size: number
  readonly tag: string
}

/** Makes the checks of one store's MACs, for as many objects at the same time as are on their way. */
export class MacChecks {
  readonly #config: HasherPool
  readonly #objects: HasherPool

  /** @param key of the store's MACs; CONFIG is keyed by it only when the store is encrypted */
  constructor(hashing: Hashing, key: Uint8Array, {encrypted}: {readonly encrypted: boolean}) {
    this.#config = new HasherPool(CONFIG_HASHING, encrypted ? key : undefined)
    this.#objects = new HasherPool(hashing, key)
  }

  /** Runs `use` with something that makes a check for each reading of the object. */
  async lend<T>(object: Checked, use: (check: () => PassingCheck) => Promise<T>): Promise<T> {
    const pool = object.resource === 'config' ? this.#config : this.#objects
    return pool.lend(async (envelope) =>
      pool.lend(async (name) =>
        use(() => {
          envelope.reset()
          name.reset()
          return new MacCheck(object, envelope, object.resource === 'packfile' ? name : undefined)
        }),
      ),
    )
  }
}

/** Whether the bytes are the object that the tag names. */
class MacCheck implements PassingCheck {
  readonly #envelope: EnvelopeChecker
  readonly #name: Hasher | undefined
  readonly #object: Checked
  readonly #window: EnvelopeWindow

  constructor(object: Checked, envelope: Hasher, name: Hasher | undefined) {
    this.#envelope = new EnvelopeChecker(envelope)
    this.#name = name
    this.#object = object
    this.#window = new EnvelopeWindow(object.size)
  }

  finish(): void {
    const {mac, resource, tag} = this.#object
    const {authentic, type, version} = this.#envelope.finish(tag)
    if (authentic === false) {
      throw new IntegrityError(`${tag}: its MAC does not match its content`, {facts: {mac: false, tag}})
    }

    checkHeader({type, version}, resource, tag)
    const name = this.#name?.digest().toString('hex')
    if (name === undefined || name === mac) return
    throw new IntegrityError(`${tag}: holds the packfile ${name}, sound but under another's tag`, {
      facts: {actual: name, expected: mac ?? '', tag},
    })
  }

  update(chunk: Buffer): void {
    this.#envelope.update(chunk)
    if (!this.#name) return
    const data = this.#window.cut(chunk)
    if (data.length > 0) this.#name.update(data)
  }
}
