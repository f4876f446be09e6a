import type {Frame} from './frame-reader.js'

import {ConnectionError, ErrorCode, Flag} from './protocol.js'

/** The payload without padding and without its first `skip` bytes. */
export function unpad(frame: Frame, skip: number): [number, number] {
  const padded = (frame.flags & Flag.PADDED) !== 0
  const padding = padded ? (frame.bytes[frame.start] ?? 0) : 0
  const start = frame.start + (padded ? 1 : 0) + skip
  const end = frame.end - padding
  if (frame.start + (padded ? 1 : 0) > frame.end || start > end) throw broken('padding that is longer than its frame')
  return [start, end]
}

/** @throws ConnectionError when a frame of the connection came on a stream */
export function expectConnection(frame: Frame, name: string): void {
  if (frame.stream !== 0) throw broken(`${name} on a stream`)
}

/** @throws ConnectionError with FRAME_SIZE_ERROR unless `ok` */
export function expectSize(ok: boolean, name: string): void {
  if (!ok) throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, `a ${name} frame of the wrong size`)
}

/** A breach of the protocol that ends the connection. */
export function broken(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.PROTOCOL_ERROR, what)
}

/** A breach of flow control that ends the connection. */
export function flow(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, what)
}

/** More of something than anybody needs. */
export function calm(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, what)
}
