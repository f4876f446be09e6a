import type {Configuration} from '../../kloset/configuration.js'
import type {Mac} from '../../kloset/mac.js'
import type {Finding, FindingDetails} from '../findings.js'

import {hasCode, KlosetOciError, messageOf} from '../../errors.js'
import {BLOB_TYPES, blobTypeName} from '../../kloset/blob-type.js'
import {type Codec, createCodec} from '../../kloset/codec/codec.js'
import {Secret} from '../../kloset/codec/secret.js'
import {ENVELOPE_BYTES, EnvelopeChecker, HEADER_BYTES} from '../../kloset/envelope.js'
import {createHasher, type Hasher, type Hashing} from '../../kloset/hashing.js'
import {MAC_BYTES} from '../../kloset/mac.js'
import {
  decodeBlob,
  macOf,
  type PackfileBlob,
  type PackfileIndex,
  PackfileRecords,
  readAtOf,
  readPackfileIndex,
} from '../../kloset/packfile.js'
import {tagOf} from '../../kloset/resource.js'
import {timestampToMillis} from '../../kloset/timestamp.js'
import {type Digest} from '../../registry/digest.js'
import {judgeEnvelope} from '../content-check.js'
import {finding} from '../failures.js'
import {noteReferences, ReferenceList} from './references.js'

/** Damaged blobs of one packfile that are told one by one; the rest is in the count. */
const MAX_TOLD = 100

/** What judging takes of a store. It passes between threads as it is. */
export interface JudgeKeys extends Pick<Configuration, 'compression' | 'encryption'> {
  readonly hashing: Hashing
  /** Of every MAC. */
  readonly key: Uint8Array
  /** Of an encrypted store. */
  readonly secret?: Uint8Array | undefined
}

export interface JudgeTask {
  /** The object as it is stored. */
  readonly bytes: Buffer
  /** Decode every blob. */
  readonly data: boolean
  readonly digest: Digest
  /** False when the bytes are known to be wrong: then only what is left of them is looked for. */
  readonly intact: boolean
  readonly mac: Mac
  /** Records of where states place its blobs, for a packfile whose own index cannot be read. */
  readonly placed?: Uint8Array | undefined
}

export interface PackfileVerdict {
  readonly blobs: number
  readonly findings: readonly Finding[]
  /** False when neither its index nor a state says what lies in it: all of it may be lost. */
  readonly isMapped: boolean
  /** `ReferenceList` of those that cannot be read. */
  readonly lost: Uint8Array
  /** `ReferenceList` of what its blobs need. */
  readonly references: Uint8Array
  /** Snapshots that it holds the headers of. */
  readonly snapshots: readonly Mac[]
  /** When it was written, in milliseconds since the epoch, as its footer says. */
  readonly written?: number | undefined
}

const NONE = new Uint8Array(0)

/** Of a packfile that nobody has looked into. */
export const NO_VERDICT = {blobs: 0, isMapped: true, lost: NONE, references: NONE, snapshots: []} as const

/** A verdict with lists of its own, in memory of exact size. */
export function keep(verdict: PackfileVerdict): PackfileVerdict {
  return {...verdict, lost: new Uint8Array(verdict.lost), references: new Uint8Array(verdict.references)}
}

/** Judges packfiles that lie in memory. Only computing: it runs on any thread, one packfile at a time. */
export class PackfileJudge {
  readonly #codec: Codec
  readonly #hasher: Hasher
  readonly #lost = new ReferenceList()
  readonly #references = new ReferenceList()

  private constructor(codec: Codec, hasher: Hasher) {
    this.#codec = codec
    this.#hasher = hasher
  }

  /** @throws VersionError when the store is made in a way that this program does not know */
  static async create({compression, encryption, hashing, key, secret}: JudgeKeys): Promise<PackfileJudge> {
    const codec = await createCodec({compression, encryption}, secret && new Secret(secret))
    return new PackfileJudge(codec, await createHasher(hashing, key))
  }

  /** The verdict's lists are good until the next packfile is judged: who keeps them copies them. */
  async judge(task: JudgeTask): Promise<PackfileVerdict> {
    const details = detailsOf(task)
    const wrong = task.intact ? this.#envelope(task, details) : []
    const isSound = task.intact && wrong.length === 0
    if (wrong.some(({kind}) => kind === 'name-mismatch' || kind === 'type-mismatch' || kind === 'unknown-version')) {
      return {...NO_VERDICT, findings: wrong, isMapped: false}
    }

    if (isSound && !task.data) return {...NO_VERDICT, ...(await this.#indexOnly(task, details))}
    return this.#contents(task, wrong, details)
  }

  /** One blob: what is wrong with it, or what it refers to. Without the envelope's word a name proves nothing. */
  #blob(task: JudgeTask, blob: PackfileBlob, isSound: boolean, list: ReferenceList): Finding | undefined {
    const {bytes, mac: packfile} = task
    const {length, mac, offset, type} = blob
    const what = tagOf('packfile', packfile)
    const details = {...detailsOf(task), blob: {mac, type: blobTypeName(type)}}
    const start = HEADER_BYTES + offset
    if (start + length > bytes.length) {
      return finding('blob-corrupt', `${what}: ${details.blob.type} ${mac} lies beyond its end`, details)
    }

    try {
      const content = decodeBlob(blob, bytes.subarray(start, start + length), {
        codec: this.#codec,
        hasher: this.#hasher,
        what,
      })
      if (isSound) noteReferences(type, mac, content, list)
      // A header names itself; padding can be anything.
      else if (type === BLOB_TYPES.snapshot) noteReferences(type, mac, content, new ReferenceList())
      return undefined
    } catch (error) {
      if (hasCode(error, 'VERSION')) return undefined
      if (!(error instanceof KlosetOciError)) throw error
      const isStructure = hasCode(error, 'STORE_FORMAT') && error.facts['blob'] === undefined && isSound
      const kind = isStructure ? 'snapshot-unreadable' : 'blob-corrupt'
      return finding(kind, isStructure ? `${what}: ${messageOf(error)}` : messageOf(error), details)
    }
  }

  /** Every blob, of a packfile that is sound or of what is left of one. */
  async #contents(task: JudgeTask, wrong: readonly Finding[], details: FindingDetails): Promise<PackfileVerdict> {
    const isSound = task.intact && wrong.length === 0
    const findings = [...wrong]
    const index = await this.#index(task, details)
    if ('kind' in index && isSound) findings.push(index)
    // A blob's record is made when its turn comes: a packfile may have some hundred thousand.
    const placed = 'kind' in index ? task.placed && new PackfileRecords(bufferOf(task.placed)) : index.blobs
    if (!placed) return {...NO_VERDICT, findings, isMapped: false}
    const [lost, list] = [this.#lost, this.#references]
    lost.clear()
    list.clear()
    const snapshots: Mac[] = []
    for (const blob of placed) {
      const found = this.#blob(task, blob, isSound, list)
      if (blob.type === BLOB_TYPES.snapshot) snapshots.push(blob.mac)
      if (!found) continue
      lost.add(blob.type, blob.mac)
      if (task.data && lost.count <= MAX_TOLD) findings.push(found)
    }

    if (task.data && lost.count > MAX_TOLD) {
      const message = `${tagOf('packfile', task.mac)}: ${lost.count - MAX_TOLD} more of its blobs are damaged`
      findings.push(finding('blob-corrupt', message, {...details, count: lost.count - MAX_TOLD}))
    }

    const written = 'kind' in index ? undefined : index.written
    return {
      blobs: placed.length,
      findings,
      isMapped: true,
      lost: lost.bytes,
      references: list.bytes,
      snapshots,
      written,
    }
  }

  #envelope(task: JudgeTask, details: FindingDetails): Finding[] {
    const {bytes, mac} = task
    const tag = tagOf('packfile', mac)
    const hasher = this.#hasher
    hasher.reset()
    const checker = new EnvelopeChecker(hasher)
    checker.update(bytes)
    const name = () =>
      bytes.length < ENVELOPE_BYTES
        ? undefined
        : macOf(hasher, bytes.subarray(HEADER_BYTES, bytes.length - MAC_BYTES)).toString('hex')
    return judgeEnvelope({mac, resource: 'packfile', tag}, {details, envelope: () => checker.finish(tag), name})
  }

  async #index(
    {bytes, mac}: JudgeTask,
    details: FindingDetails,
  ): Promise<Finding | {readonly blobs: PackfileIndex; readonly written: number}> {
    const what = tagOf('packfile', mac)
    try {
      const index = await readPackfileIndex({
        codec: this.#codec,
        hasher: this.#hasher,
        isInMemory: true,
        readAt: readAtOf(bytes, what),
        size: bytes.length,
        what,
      })
      return {blobs: index, written: timestampToMillis(index.footer.timestamp)}
    } catch (error) {
      if (!(error instanceof KlosetOciError)) throw error
      return finding('packfile-unreadable', messageOf(error), details)
    }
  }

  async #indexOnly(
    task: JudgeTask,
    details: FindingDetails,
  ): Promise<Partial<PackfileVerdict> & {findings: Finding[]}> {
    const index = await this.#index(task, details)
    if ('kind' in index) return {findings: [index], isMapped: false}
    const {blobs, written} = index
    const snapshots: Mac[] = []
    for (const {mac, type} of blobs) if (type === BLOB_TYPES.snapshot) snapshots.push(mac)
    return {blobs: blobs.length, findings: [], snapshots, written}
  }
}

function bufferOf({buffer, byteOffset, length}: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length)
}

function detailsOf({digest, mac}: Pick<JudgeTask, 'digest' | 'mac'>): FindingDetails {
  return {digest, object: {mac, resource: 'packfile'}, snapshots: 'unknown', tag: tagOf('packfile', mac)}
}
