import type {Repository} from '../../src/registry/interfaces.js'

/** A new, empty repository for one test, and what else its backend can show. */
export interface ContractSubject {
  readonly close?: () => Promise<void>
  readonly repository: Repository
  /** Another repository of the same host, by name, for mounts. */
  readonly sibling?: (name: string) => Promise<Repository>
}

export interface ContractTraits {
  /** False where a manifest that was deleted by its digest is still found under its tags. Default true. */
  readonly digestDeleteTakesTags?: boolean
  /** False where a manifest goes when its only tag is moved away from it. Default true. */
  readonly movedTagKeepsManifest?: boolean
  /** Whether a tag can be removed with the manifest left behind. */
  readonly untagKeepsManifest: boolean
}
