import type {Frame} from './frame-reader.js'

import {broken, expectConnection, expectSize, flow} from './checks.js'
import {Flag, MAX_FRAME_BYTES, MAX_WINDOW, Setting, uint32} from './protocol.js'

/**
 * Reads a SETTINGS frame of the client. Of its settings only the initial window matters to us: frames stay at the size
 * that everybody takes, and our header blocks use no table.
 * @returns undefined for an acknowledgement, else the new initial window if it was set
 */
export function readSettings(frame: Frame): undefined | {readonly initialWindow: number | undefined} {
  expectConnection(frame, 'SETTINGS')
  const length = frame.end - frame.start
  if (frame.flags & Flag.ACK) {
    expectSize(length === 0, 'SETTINGS')
    return undefined
  }

  expectSize(length % 6 === 0, 'SETTINGS')
  let initialWindow: number | undefined
  for (let at = frame.start; at < frame.end; at += 6) {
    const id = frame.bytes.readUInt16BE(at)
    const value = uint32(frame.bytes, at + 2)
    if (id === Setting.ENABLE_PUSH && value > 1) throw broken('a wrong ENABLE_PUSH setting')
    if (id === Setting.MAX_FRAME_SIZE && (value < MAX_FRAME_BYTES || value > 0xff_ff_ff)) {
      throw broken('a wrong MAX_FRAME_SIZE setting')
    }

    if (id !== Setting.INITIAL_WINDOW_SIZE) continue
    if (value > MAX_WINDOW) throw flow('a wrong INITIAL_WINDOW_SIZE setting')
    initialWindow = value
  }

  return {initialWindow}
}
