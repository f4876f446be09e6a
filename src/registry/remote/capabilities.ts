/** What a DELETE of a tag does. */
export type TagDeletion =
  /** The tag stays: refused, or acknowledged and not done. */
  | 'no'
  /** The manifest goes with it, and with the manifest perhaps other tags. */
  | 'takes-manifest'
  | 'unknown'
  /** It may work, but what else it takes could not be tried out. */
  | 'unproven'
  /** The tag alone goes. */
  | 'untags'

/**
 * What has been learnt about a registry by using it, kept as long as its `RemoteRepository`. Nothing is guessed from a
 * host name: every field begins as unknown and is set by an answer.
 */
export class Capabilities {
  /** Bytes of one chunk, halved each time the registry refuses one. */
  chunkBytes: number
  digestDelete: 'no' | 'unknown' | 'yes' = 'unknown'
  /** False when HEAD of a blob brings no size. */
  headBlobs = true
  /** False when HEAD of a manifest is refused or brings no digest. */
  headManifests = true
  /** Whether a list of tags goes on behind `last`. */
  lastParameter: 'honoured' | 'ignored' | 'unknown' = 'unknown'
  /** Blobs larger than this are sent in chunks: a larger one was refused whole. */
  monolithicLimit = Number.POSITIVE_INFINITY
  /** A manifest was stored: these credentials may push. */
  pushed = false
  ranges: 'ignored' | 'unknown' | 'yes' = 'unknown'
  referrersApi: 'no' | 'unknown' | 'yes' = 'unknown'
  tagDelete: TagDeletion = 'unknown'
  /** `n` that lists of tags are asked with; undefined when any `n` is refused. */
  tagPageSize: 'unknown' | number | undefined = 'unknown'
  #mount: 'no' | 'unknown' | 'yes' = 'unknown'
  #mountDeclinedAbsent = false
  #mountFoundPresent = false

  constructor({chunkBytes}: {readonly chunkBytes: number}) {
    this.chunkBytes = chunkBytes
  }

  /**
   * Whether a mount from the repository itself tells an existing blob (201) from an absent one (202), so that one
   * request is both the check and the start of the upload. `yes` only after both answers were seen and were true.
   */
  get mountTells(): 'no' | 'unknown' | 'yes' {
    return this.#mount
  }

  /** Whether one more mount of a blob that is there would settle `mountTells`. */
  get wantsMountProof(): boolean {
    return this.#mount === 'unknown' && this.#mountDeclinedAbsent && !this.#mountFoundPresent
  }

  /** Notes how a mount was answered for a blob whose presence is known from elsewhere. */
  noteMount(answer: 'accepted' | 'declined' | 'refused', present: boolean): void {
    if (this.#mount === 'no') return
    if (answer === 'refused' || (answer === 'accepted') !== present) {
      this.#mount = 'no'
      return
    }

    if (present) this.#mountFoundPresent = true
    else this.#mountDeclinedAbsent = true
    if (this.#mountFoundPresent && this.#mountDeclinedAbsent) this.#mount = 'yes'
  }
}
