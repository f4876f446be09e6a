/** So much of a MAC tells blobs apart: 128 bits, of which nobody finds two alike. */
const NAME_BYTES = 16

/** What a blob is known by where millions are compared: the beginning of its MAC, and its type. */
export const BLOB_KEY_BYTES = NAME_BYTES + 1

/** Writes the key of the blob whose MAC lies at a place of some bytes. */
export function writeBlobKey(key: Uint8Array, type: number, source: Uint8Array, at: number): void {
  for (let byte = 0; byte < NAME_BYTES; byte++) key[byte] = source[at + byte]!
  setBlobType(key, type)
}

export function blobTypeIn(key: Uint8Array): number {
  return key[NAME_BYTES]!
}

export function setBlobType(key: Uint8Array, type: number): void {
  key[NAME_BYTES] = type
}
