/**
 * Numbers of HTTP/2 that this session needs.
 * @see https://www.rfc-editor.org/rfc/rfc9113
 */

/** What a client sends first of all. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export const FRAME_HEADER_BYTES = 9

export const FrameType = {
  CONTINUATION: 9,
  DATA: 0,
  GOAWAY: 7,
  HEADERS: 1,
  PING: 6,
  PRIORITY: 2,
  PUSH_PROMISE: 5,
  RST_STREAM: 3,
  SETTINGS: 4,
  WINDOW_UPDATE: 8,
} as const

export const Flag = {ACK: 0x1, END_HEADERS: 0x4, END_STREAM: 0x1, PADDED: 0x8, PRIORITY: 0x20} as const

export const ErrorCode = {
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  ENHANCE_YOUR_CALM: 11,
  FLOW_CONTROL_ERROR: 3,
  FRAME_SIZE_ERROR: 6,
  INTERNAL_ERROR: 2,
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  REFUSED_STREAM: 7,
  STREAM_CLOSED: 5,
} as const

export const Setting = {
  ENABLE_PUSH: 2,
  HEADER_TABLE_SIZE: 1,
  INITIAL_WINDOW_SIZE: 4,
  MAX_CONCURRENT_STREAMS: 3,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const

/** Flow-control window of a connection and of a stream until somebody says otherwise. */
export const DEFAULT_WINDOW = 65_535

export const MAX_WINDOW = 0x7f_ff_ff_ff

/** The frame size that every peer takes, and the only one that we take or send. */
export const MAX_FRAME_BYTES = 16_384

/** The peer broke the rules in a way that leaves the connection unusable: it ends with GOAWAY and this code. */
export class ConnectionError extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.name = 'ConnectionError'
    this.code = code
  }
}

/** Writes a frame header at `at`. The caller has made room. */
export function putFrameHeader(
  out: Buffer,
  at: number,
  frame: {readonly flags: number; readonly length: number; readonly stream: number; readonly type: number},
): number {
  const {flags, length, stream, type} = frame
  out[at] = length >>> 16
  out[at + 1] = length >>> 8
  out[at + 2] = length
  out[at + 3] = type
  out[at + 4] = flags
  return putUint32(out, at + 5, stream)
}

export function putUint32(out: Buffer, at: number, value: number): number {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
  return at + 4
}

/** Unsigned 32 bits in network order. The caller has checked that they are there. */
export function uint32(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at)
}
