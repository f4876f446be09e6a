import {createCipheriv} from 'node:crypto'
import {cpSync, existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {filesBelow} from '../../test/helpers/registries.js'

const FILES_A_FOLDER = 100

/**
 * Writes `count` files of `mib` MiB together, of very different sizes, with bytes that do not compress. The same
 * arguments give the same files.
 */
export function writeFiles(folder: string, count: number, mib: number): void {
  const key = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16))
  const average = (mib * 1024 * 1024) / count
  const weights = key.update(Buffer.alloc(count * 2))
  for (let index = 0; index < count; index++) {
    const into = join(folder, `d${Math.floor(index / FILES_A_FOLDER)}`)
    if (index % FILES_A_FOLDER === 0) mkdirSync(into, {recursive: true})
    // From next to nothing to twice the average.
    const size = Math.floor((weights.readUInt16BE(index * 2) / 0xff_ff) * 2 * average)
    writeFileSync(join(into, `f${index % FILES_A_FOLDER}.bin`), key.update(Buffer.alloc(size)))
  }
}

/** The first `folders` folders of what `writeFiles` made. */
export function copySample(from: string, to: string, folders: number): void {
  mkdirSync(to, {recursive: true})
  for (let index = 0; index < folders && existsSync(join(from, `d${index}`)); index++) {
    cpSync(join(from, `d${index}`), join(to, `d${index}`), {recursive: true})
  }
}

/** @throws Error at the first file that is missing or differs, or is one too many */
export function expectSameFiles(expected: string, actual: string): void {
  const wanted = filesBelow(expected)
  const found = filesBelow(actual)
  if (found.length !== wanted.length) throw new Error(`${actual} has ${found.length} files instead of ${wanted.length}`)
  for (const file of wanted) {
    if (readFileSync(join(expected, file)).equals(readFileSync(join(actual, file)))) continue
    throw new Error(`${join(actual, file)} differs from what was backed up`)
  }
}
