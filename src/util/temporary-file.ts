import {randomBytes} from 'node:crypto'
import {closeSync, openSync, readSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {LocalIoError} from '../errors.js'
import {localIoError} from './fs-error.js'
import {writeFullyNow} from './write-fully.js'

export interface TemporaryFileOptions {
  /** Where it is made, default the system's folder for temporary ones. */
  readonly dir?: string | undefined
  /** How its name ends while it has one. */
  readonly suffix: string
}

/**
 * A file for what does not fit into memory. It has no name any more once it is open (where the system allows), so that
 * nothing is left of it however the process ends. Writing and reading is at once and not later: who does it need not
 * wait, and no queue grows.
 */
export class TemporaryFile {
  readonly #dir: string
  #end = 0
  #file: undefined | {readonly descriptor: number; readonly path: string | undefined}
  readonly #suffix: string

  constructor({dir = tmpdir(), suffix}: TemporaryFileOptions) {
    this.#dir = dir
    this.#suffix = suffix
  }

  /** Bytes that it has. */
  get size(): number {
    return this.#end
  }

  /** @returns where they lie. @throws LocalIoError, and then nothing was added */
  append(bytes: Uint8Array): number {
    const at = this.#end
    this.write(bytes, at)
    this.#end += bytes.length
    return at
  }

  /** Lets go of it. */
  dispose(): void {
    if (!this.#file) return
    const {descriptor, path} = this.#file
    this.#file = undefined
    closeSync(descriptor)
    if (path !== undefined) rmSync(path, {force: true})
  }

  /** Fills `bytes` with what lies at a place. @throws LocalIoError */
  read(bytes: Uint8Array, at: number): void {
    try {
      for (let done = 0; done < bytes.length;) {
        const count = readSync(this.#file!.descriptor, bytes, done, bytes.length - done, at + done)
        if (count === 0) throw new LocalIoError('a temporary file has become shorter on the disk')
        done += count
      }
    } catch (error) {
      throw localIoError(error, 'read a temporary file in', this.#dir)
    }
  }

  /** Writes over what was appended. @throws LocalIoError */
  write(bytes: Uint8Array, at: number): void {
    try {
      this.#file ??= create(this.#dir, this.#suffix)
      writeFullyNow(this.#file.descriptor, bytes, at)
    } catch (error) {
      throw temporaryFileError(error, this.#dir)
    }
  }
}

/** A path that nobody has, for a file that is to have no name for long. */
export function temporaryPath(dir: string, suffix: string): string {
  return join(dir, `kloset-oci-${randomBytes(8).toString('hex')}.${suffix}`)
}

/** A temporary file could not be written. It has no name by then: the folder is what can be helped. */
export function temporaryFileError(error: unknown, dir: string): Error {
  return localIoError(error, 'write a temporary file in', dir, ['Or set TMPDIR to a folder that has room for it.'])
}

function create(dir: string, suffix: string): {descriptor: number; path: string | undefined} {
  const path = temporaryPath(dir, suffix)
  const descriptor = openSync(path, 'wx+', 0o600)
  try {
    rmSync(path)
    return {descriptor, path: undefined}
  } catch {
    return {descriptor, path}
  }
}
