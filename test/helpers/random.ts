/** A small seeded generator (mulberry32) of numbers from 0 up to 1. */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Draws from one seeded generator: a failure names its seed and can be had again. */
export interface Random {
  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number
  bytes(length: number): Buffer
}

export function seeded(seed: number): Random {
  const next = random(seed)
  return {
    below: (limit) => Math.floor(next() * limit),
    bytes: (length) => Buffer.from(Array.from({length}, () => Math.floor(next() * 256))),
  }
}
