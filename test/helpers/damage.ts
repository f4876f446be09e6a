/* eslint-disable no-bitwise -- flipping bits is what this is for */

/** A copy with one bit changed; bit 0 is the lowest of the first byte. */
export function flipBit(bytes: Uint8Array, bit: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}
