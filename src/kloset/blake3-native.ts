import {createRequire} from 'node:module'

/** What is used of the optional package `@napi-rs/blake-hash`. */
interface BlakeHash {
  readonly Blake3Hasher: {
    new (): NativeBlake3
    newKeyed(key: Buffer): NativeBlake3
  }
}

export interface NativeBlake3 {
  digestBuffer(): Buffer
  /** Keeps the key. */
  reset(): void
  update(bytes: Uint8Array): unknown
}

/** From this many bytes on the call into the addon is worth its price: it is five times as fast as WebAssembly. */
export const NATIVE_BYTES = 16 * 1024

let addon: BlakeHash | null | undefined

/** A native hasher, where the addon is there: an optional dependency, prebuilt for the common platforms. */
export function nativeBlake3(key: Uint8Array | undefined): NativeBlake3 | undefined {
  const native = load()
  if (!native) return undefined
  return key === undefined ? new native.Blake3Hasher() : native.Blake3Hasher.newKeyed(Buffer.from(key))
}

function load(): BlakeHash | null {
  if (addon !== undefined) return addon
  try {
    addon = createRequire(import.meta.url)('@napi-rs/blake-hash') as BlakeHash
  } catch {
    addon = null
  }

  return addon
}
