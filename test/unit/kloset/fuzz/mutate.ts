import type {Random} from '../../../helpers/random.js'

/** Values at which lengths, counts and offsets go wrong. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x7f_ff, 0x80_00, 0xff_ff, 0x7f_ff_ff_ff, 0x80_00_00_00, 0xff_ff_ff_ff]

/** A damaged copy: bits and bytes changed, pieces cut out, doubled, moved or put in, numbers set to an edge. */
export function mutate(bytes: Buffer, random: Random): Buffer {
  let mutated: Buffer = Buffer.from(bytes)
  for (let times = 1 + random.below(4); times > 0; times--) mutated = once(mutated, random)
  return mutated
}

function once(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length + 1)
  const size = 1 + random.below(Math.min(64, Math.max(1, bytes.length - at)))
  const piece = bytes.subarray(at, at + size)
  switch (random.below(8)) {
    case 0: {
      return bytes.subarray(0, at)
    }

    case 1: {
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)])
    }

    case 2: {
      return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)])
    }

    case 3: {
      return Buffer.concat([bytes.subarray(0, at), random.bytes(size), bytes.subarray(at)])
    }

    case 4: {
      return withEdge(bytes, random)
    }

    case 5: {
      const from = random.below(bytes.length + 1)
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(from, from + size), bytes.subarray(at + size)])
    }

    default: {
      if (bytes.length === 0) return random.bytes(size)
      const copy = Buffer.from(bytes)
      const place = Math.min(at, bytes.length - 1)
      copy[place] = random.below(2) === 0 ? random.below(256) : (copy[place]! + 2 ** random.below(8)) % 256
      return copy
    }
  }
}

function withEdge(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes)
  if (copy.length < 4) return copy
  const at = random.below(copy.length - 3)
  const value = EDGES[random.below(EDGES.length)]!
  switch (random.below(4)) {
    case 0: {
      copy.writeUInt32LE(value, at)
      break
    }

    case 1: {
      copy.writeUInt32BE(value, at)
      break
    }

    case 2: {
      copy.writeUInt16LE(value % 65_536, at)
      break
    }

    default: {
      copy[at] = value % 256
    }
  }

  return copy
}
