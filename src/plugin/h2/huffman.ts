/**
 * Huffman decoding of header strings. The code is canonical (shorter codes first, equal lengths in order of symbol),
 * so the lengths alone define it: one base-36 digit a symbol, the 257th being the end-of-string symbol.
 * @see https://www.rfc-editor.org/rfc/rfc7541#appendix-B
 */
const LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6' +
  'f56565666577666567655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrqu'

const END_OF_STRING = 256

/** Binary tree in one array: two slots a node; a slot holds the next node's number, or `-1 - symbol` of a leaf. */
const tree = buildTree()

function buildTree(): Int16Array {
  const symbols = [...LENGTHS].map((digit, symbol) => ({length: Number.parseInt(digit, 36), symbol}))
  symbols.sort((a, b) => a.length - b.length || a.symbol - b.symbol)
  const nodes = new Int16Array(2 * (END_OF_STRING + 1))
  let used = 1
  let code = 0
  let previous = symbols[0]!.length
  for (const {length, symbol} of symbols) {
    code <<= length - previous
    previous = length
    let node = 0
    for (let bit = length - 1; bit > 0; bit--) {
      const slot = 2 * node + ((code >>> bit) & 1)
      if (nodes[slot] === 0) nodes[slot] = used++
      node = nodes[slot]!
    }

    nodes[2 * node + (code & 1)] = -1 - symbol
    code++
  }

  return nodes
}

/**
 * The bytes of a Huffman string as latin1, or undefined when they are not one: a wrong code, the end-of-string symbol,
 * or padding that is longer than 7 bits or not all ones.
 */
export function decodeHuffman(bytes: Buffer, start: number, end: number): string | undefined {
  const out = Buffer.allocUnsafe(Math.ceil(((end - start) * 8) / 5))
  let length = 0
  let node = 0
  let pending = 0
  let allOnes = true
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    for (let bit = 7; bit >= 0; bit--) {
      const one = (byte >>> bit) & 1
      const next = tree[2 * node + one]!
      pending++
      allOnes &&= one === 1
      if (next >= 0) {
        node = next
        continue
      }

      const symbol = -1 - next
      if (symbol === END_OF_STRING) return undefined
      out[length++] = symbol
      node = 0
      pending = 0
      allOnes = true
    }
  }

  return pending > 7 || !allOnes ? undefined : out.toString('latin1', 0, length)
}
