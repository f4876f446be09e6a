/** A version as Kloset packs it into 32 bits: major, minor and patch. @see kloset versioning/versioning.go */
export type Version = number

export function makeVersion(major: number, minor: number, patch: number): Version {
  // eslint-disable-next-line no-bitwise -- the packing is the format's
  return ((major << 16) | (minor << 8) | patch) >>> 0
}

/** `v1.2.3`; a top byte that no version has is shown as a fourth number in front, and never left out. */
export function formatVersion(version: Version): string {
  const [top, major, minor, patch] = [24, 16, 8, 0].map((shift) => Math.floor(version / 2 ** shift) % 256)
  return `v${top ? `${top}.` : ''}${major}.${minor}.${patch}`
}
