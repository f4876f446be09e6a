import type {Repository} from '../../src/registry/interfaces.js'

/** A new, empty repository for one test, and what else its backend can show. */
export interface ContractSubject {
  readonly close?: () => Promise<void>
  readonly repository: Repository
  /** Another repository of the same host, by name, for mounts. */
  readonly sibling?: (name: string) => Promise<Repository>
}

export interface ContractTraits {
  /** Whether a tag can be removed with the manifest left behind. */
  readonly untagKeepsManifest: boolean
}
