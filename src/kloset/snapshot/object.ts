import type {Mac} from '../mac.js'

import {StoreFormatError} from '../../errors.js'
import {MAC_BYTES, macFromBytes, macToBytes} from '../mac.js'
import {MsgpackWriter} from '../msgpack-writer.js'
import {type Version} from '../version.js'
import {MsgpackReader} from './msgpack-reader.js'
import {type Field, float, mac, struct, text, uint32} from './struct.js'

/** The content of a file in pieces: MAC and length of each, 36 bytes. */
const CHUNK_BYTES = MAC_BYTES + 4

/** The fewest bytes that a chunk takes in msgpack: its MAC. */
const MIN_CHUNK_BYTES = MAC_BYTES + 2

export interface Chunk {
  readonly length: number
  readonly mac: Mac
}

/** The chunks of an object, in the order of the content: 36 bytes each, of which large files have millions. */
export class ChunkList implements Iterable<Chunk> {
  /** Bytes of all of them. */
  readonly size: number
  readonly #records: Buffer

  constructor(records: Buffer) {
    this.#records = records
    let size = 0
    for (let number = 0; number < this.length; number++) size += this.#lengthOf(number)
    this.size = size
  }

  get length(): number {
    return this.#records.length / CHUNK_BYTES
  }

  at(number: number): Chunk {
    const at = number * CHUNK_BYTES
    return {length: this.#lengthOf(number), mac: macFromBytes(this.#records.subarray(at, at + MAC_BYTES))}
  }

  *[Symbol.iterator](): Generator<Chunk> {
    for (let number = 0; number < this.length; number++) yield this.at(number)
  }

  #lengthOf(number: number): number {
    return this.#records.readUInt32LE(number * CHUNK_BYTES + MAC_BYTES)
  }
}

/** The content of a file. @see kloset objects/objects.go */
export interface FileObject {
  readonly chunks: ChunkList
  /** The MAC of the whole content. */
  readonly contentMac: Mac | undefined
  readonly contentType: string
  readonly entropy: number
  readonly flags: number
  readonly version: Version
}

const readChunk = struct<{length: number; mac: Mac | undefined}>({length: uint32('length'), mac: mac('contentMAC')})

const chunkList: Field<ChunkList> = {name: 'chunks', read: readChunks, zero: new ChunkList(Buffer.alloc(0))}

const readObject = struct<FileObject>({
  chunks: chunkList,
  contentMac: mac('contentMAC'),
  contentType: text('content_type'),
  entropy: float('entropy'),
  flags: uint32('flags'),
  version: uint32('version'),
})

/** Of objects and of the chunks in them: 1.0.0. */
const VERSION = 0x01_00_00

/**
 * The object of an empty file, byte for byte as kloset writes it: one chunk of nothing, and the type that it finds in that.
 * @param mac of nothing
 */
export function encodeEmptyObject(mac: Mac): Buffer {
  const writer = new MsgpackWriter()
  const bytes = macToBytes(mac)
  writer.map(5).string('version').uint32(VERSION).string('contentMAC').bin(bytes)
  writer.string('chunks').array(1).map(5).string('version').uint32(VERSION).string('contentMAC').bin(bytes)
  writer.string('length').uint32(0).string('entropy').float64(0).string('flags').uint32(0)
  return writer.string('content_type').string('text/plain').string('flags').uint32(0).bytes()
}

/** @param what names the object in errors. @throws StoreFormatError */
export function decodeObject(content: Buffer, what: string): FileObject {
  const reader = new MsgpackReader(content, what)
  const object = readObject(reader)
  reader.end()
  return object
}

function readChunks(reader: MsgpackReader): ChunkList {
  const count = reader.arrayHeader(MIN_CHUNK_BYTES)
  const records = Buffer.alloc(count * CHUNK_BYTES)
  for (let number = 0; number < count; number++) {
    const chunk = readChunk(reader)
    if (!chunk.mac) throw new StoreFormatError('an object has a chunk without a MAC')
    records.write(chunk.mac, number * CHUNK_BYTES, 'hex')
    records.writeUInt32LE(chunk.length, number * CHUNK_BYTES + MAC_BYTES)
  }

  return new ChunkList(records)
}
