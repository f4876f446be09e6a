import {LISTED_BYTES} from '../kloset/list-limit.js'
import {bytesField, bytesFieldHead, intField, MessageFields, stringField, uintField} from './protobuf.js'

/** The messages of the service `store.Store`, as `store.proto` has them. Unknown fields are skipped. */

export interface InitRequest {
  readonly config: ReadonlyMap<string, string>
  readonly proto: string
}

export interface InitResponse {
  readonly flags: number
  readonly origin: string
  readonly root: string
  readonly type: string
}

/** What a call is about. The type is a number of the wire: it may be one that we do not know. */
export interface ObjectRequest {
  /** The MAC's bytes, a view of the request. */
  readonly mac: Buffer
  readonly type: number
}

export interface GetRequest extends ObjectRequest {
  readonly range: undefined | {readonly length: number; readonly offset: number}
}

export interface PutRequest extends ObjectRequest {
  readonly chunk: Buffer
}

const NOTHING = Buffer.alloc(0)

export const EMPTY_MESSAGE = NOTHING

export function decodeInit(message: Buffer): InitRequest {
  const config = new Map<string, string>()
  let proto = ''
  const fields = new MessageFields(message)
  while (fields.next()) {
    if (fields.field === 1) proto = fields.string()
    else if (fields.field === 2) {
      const [key, value] = mapEntry(fields.message())
      config.set(key, value)
    } else fields.skip()
  }

  return {config, proto}
}

export function encodeInit({flags, origin, root, type}: InitResponse): Buffer {
  return Buffer.concat([stringField(1, origin), stringField(2, type), stringField(3, root), uintField(5, flags)])
}

/** The one field of a Create request and of an Open response. */
export function decodeConfig(message: Buffer): Buffer {
  let config: Buffer = NOTHING
  const fields = new MessageFields(message)
  while (fields.next()) {
    if (fields.field === 1) config = fields.bytes()
    else fields.skip()
  }

  return config
}

export function encodeConfig(config: Uint8Array): Buffer {
  return bytesField(1, config)
}

export function encodeNumber(value: number): Buffer {
  return intField(1, value)
}

export function decodeListType(message: Buffer): number {
  let type = 0
  const fields = new MessageFields(message)
  while (fields.next()) {
    if (fields.field === 1) type = fields.uint()
    else fields.skip()
  }

  return type
}

/** A List response from MACs in hex. */
export function encodeList(macs: readonly string[]): Buffer {
  const message = Buffer.allocUnsafe(macs.length * LISTED_BYTES)
  let at = 0
  for (const mac of macs) {
    message[at] = 0x0a
    message[at + 1] = 32
    message.write(mac, at + 2, 'hex')
    at += LISTED_BYTES
  }

  return message
}

export function decodePut(message: Buffer): PutRequest {
  let chunk: Buffer = NOTHING
  let mac: Buffer = NOTHING
  let type = 0
  const fields = new MessageFields(message)
  while (fields.next()) {
    switch (fields.field) {
      case 1: {
        mac = fields.bytes()
        break
      }

      case 2: {
        type = fields.uint()
        break
      }

      case 3: {
        chunk = fields.bytes()
        break
      }

      default: {
        fields.skip()
      }
    }
  }

  return {chunk, mac, type}
}

export function decodeGet(message: Buffer): GetRequest {
  let mac: Buffer = NOTHING
  let range: GetRequest['range']
  let type = 0
  const fields = new MessageFields(message)
  while (fields.next()) {
    switch (fields.field) {
      case 1: {
        mac = fields.bytes()
        break
      }

      case 2: {
        type = fields.uint()
        break
      }

      case 3: {
        range = decodeRange(fields.message())
        break
      }

      default: {
        fields.skip()
      }
    }
  }

  return {mac, range, type}
}

export function decodeDelete(message: Buffer): ObjectRequest {
  const {mac, type} = decodePut(message)
  return {mac, type}
}

/** What stands before the bytes in a Get response of `length` bytes. */
export function getResponseHead(length: number): Buffer {
  return bytesFieldHead(1, length)
}

function decodeRange(fields: MessageFields): {length: number; offset: number} {
  let length = 0
  let offset = 0
  while (fields.next()) {
    if (fields.field === 1) offset = fields.uint()
    else if (fields.field === 2) length = fields.uint()
    else fields.skip()
  }

  return {length, offset}
}

function mapEntry(fields: MessageFields): [string, string] {
  let key = ''
  let value = ''
  while (fields.next()) {
    if (fields.field === 1) key = fields.string()
    else if (fields.field === 2) value = fields.string()
    else fields.skip()
  }

  return [key, value]
}
