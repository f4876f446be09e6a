import {createRequire} from 'node:module'

import {StoreFormatError} from '../../../errors.js'

/** What is used of the optional package `lz4-napi`. */
interface Lz4Napi {
  /** The block behind the size that it decodes to (or a bound of it), in four bytes. */
  readonly uncompressSync: (sized: Uint8Array) => Buffer
}

const SIZE_BYTES = 4

/** What LZ4 makes of a byte at most, of nearly all data. */
const LIKELY_RATIO = 8

/**
 * Blocks smaller than this are decoded sooner here than the call takes; and the addon would hold the bound's memory for
 * the content's.
 */
const WORTHWHILE_BYTES = 1024

let addon: Lz4Napi | null | undefined
let scratch = Buffer.alloc(0)

/** Whether the addon is there: an optional dependency, prebuilt for the common platforms. */
export function nativeLz4(): boolean {
  return load() !== null
}

/**
 * Decodes an independent block with the native addon: two to three times the speed of JavaScript.
 * @param bound the most bytes it may decode to
 * @returns undefined where it is not worth it, or not there
 * @throws StoreFormatError when the block is not sound or exceeds the bound
 */
export function decodeNatively(block: Uint8Array, bound: number): Buffer | undefined {
  if (block.length < WORTHWHILE_BYTES) return undefined
  const native = load()
  if (!native) return undefined
  const size = SIZE_BYTES + block.length
  if (scratch.length < size) scratch = Buffer.allocUnsafeSlow(size)
  scratch.set(block, SIZE_BYTES)
  const sized = scratch.subarray(0, size)
  // The addon takes and clears what the bound says, which for most blocks is far too much: a likely size is tried first.
  const likely = block.length * LIKELY_RATIO
  return (likely < bound ? attempt(native, sized, likely) : undefined) ?? attempt(native, sized, bound, true)!
}

/** @param final throw what the addon says, instead of giving nothing */
function attempt(native: Lz4Napi, sized: Buffer, bound: number, final = false): Buffer | undefined {
  sized.writeUInt32LE(bound)
  try {
    return native.uncompressSync(sized)
  } catch (error) {
    if (!final) return undefined
    throw new StoreFormatError('LZ4 block is not sound', {cause: error})
  }
}

function load(): Lz4Napi | null {
  if (addon !== undefined) return addon
  try {
    addon = createRequire(import.meta.url)('lz4-napi') as Lz4Napi
  } catch {
    addon = null
  }

  return addon
}
