import {chmod, chown, type FileHandle, lchown, lutimes, utimes} from 'node:fs/promises'

import type {Entry} from '../kloset/snapshot/index.js'
import type {Timestamp} from '../kloset/timestamp.js'

import {permissionsOfMode} from '../kloset/snapshot/index.js'

export interface MetadataOptions {
  /** Set owner and group. */
  readonly owner: boolean
  /** Set permissions; without it what is new has those that the process gives. */
  readonly permissions: boolean
}

/** Owner, permissions and time of an open file. The owner goes first: setting it takes special permissions away. */
export async function setFileMetadata(
  handle: FileHandle,
  {info}: Entry,
  {owner, permissions}: MetadataOptions,
): Promise<void> {
  if (owner) await handle.chown(info.uid, info.gid)
  await handle.chmod(modeOf(info.mode, {permissions}))
  const time = timeOf(info.modTime)
  await handle.utimes(time, time)
}

/** The same for a folder, by its path. */
export async function setFolderMetadata(
  path: Buffer,
  {info}: Entry,
  {owner, permissions}: MetadataOptions,
): Promise<void> {
  if (owner) await chown(path, info.uid, info.gid)
  await chmod(path, permissions ? permissionsOfMode(info.mode) : plainMode(0o777))
  const time = timeOf(info.modTime)
  await utimes(path, time, time)
}

/** The same for a symbolic link, which has no permissions of its own. */
export async function setLinkMetadata(path: Buffer | string, {info}: Entry, {owner}: MetadataOptions): Promise<void> {
  if (owner) await lchown(path, info.uid, info.gid)
  const time = timeOf(info.modTime)
  await lutimes(path, time, time)
}

/** The permissions of a file: those of a mode, or such as the process gives. */
export function modeOf(mode: number, {permissions}: Pick<MetadataOptions, 'permissions'>): number {
  return permissions ? permissionsOfMode(mode) : plainMode(0o666)
}

function plainMode(mode: number): number {
  // eslint-disable-next-line no-bitwise -- permissions are bits
  return mode & ~process.umask()
}

const MICROSECONDS = 1_000_000
/** From one number to the next one that there is, between 1 and 2. */
const STEP = 2 ** -52

/**
 * A time as the runtime takes it: whole microseconds, as a number that is not below them, since older runtimes cut what
 * is less than one, and as near to them as there is one, since newer ones keep that. Before 1970 it keeps seconds.
 */
export function timeOf({nanoseconds, seconds}: Timestamp): Date | number {
  if (seconds < 0) return new Date(seconds * 1000)
  const micro = Math.floor(nanoseconds / 1000)
  const time = seconds + micro / MICROSECONDS
  return (time - seconds) * MICROSECONDS < micro ? time * (1 + STEP) : time
}
