import type {Context} from 'mocha'

import {cpSync, existsSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {killWatched} from './children.js'

/** Folders of this run, gone at its end. */
const scratch: string[] = []

/** What remembers something that lies in them. */
const memories: {clear(): void}[] = []

/** A new empty folder, removed when the run ends. */
export function scratchDir(name = 'test'): string {
  const dir = mkdtempSync(join(tmpdir(), `kloset-oci-${name}-`))
  scratch.push(dir)
  return dir
}

/** A memory of what was made in such folders: it is emptied when they go. */
export function clearedWithScratch<T extends {clear(): void}>(memory: T): T {
  memories.push(memory)
  return memory
}

export const GOLDEN = ['plaintext', 'plaintext-uncompressed', 'encrypted', 'encrypted-sha256'] as const
export type GoldenName = (typeof GOLDEN)[number]

export const FIXTURES = new URL('../fixtures/', import.meta.url).pathname
export const GOLDEN_PASSPHRASE = 'correct horse battery staple 79676697'

/** A writable copy of a golden store's image layout. */
export function goldenCopy(name: GoldenName): string {
  const source = join(FIXTURES, `${name}.oci`)
  if (!existsSync(source)) throw new Error(`no golden store at ${source}`)
  const copy = join(scratchDir(name), `${name}.oci`)
  cpSync(source, copy, {recursive: true})
  return copy
}

/** Removes every folder that `scratchDir` made so far. */
export function removeScratch(): void {
  for (const memory of memories) memory.clear()
  for (const dir of scratch.splice(0)) rmSync(dir, {force: true, maxRetries: 3, recursive: true})
}

/** A run whose tests are over ends by itself within this time, unless something of theirs was left open. */
const LEFT_OPEN_MS = 20_000
/** A worker of a parallel run goes on with the next file. */
const IS_WORKER = process.env['MOCHA_WORKER_ID'] !== undefined

export const mochaHooks = {
  /** At the end of a run; in a parallel one, of each file. */
  afterAll(this: Context) {
    // A disk that is busy takes its time to forget thousands of files.
    this.timeout(0)
    killWatched()
    removeScratch()
    if (IS_WORKER) return
    setTimeout(() => {
      process.stderr.write(`the tests are over, and still open is: ${process.getActiveResourcesInfo().join(', ')}\n`)
      // Behind mocha's own listener, which sets the status of the tests.
      process.once('exit', () => {
        process.exitCode = 1
      })
      // eslint-disable-next-line n/no-process-exit, unicorn/no-process-exit
      process.exit(1)
    }, LEFT_OPEN_MS).unref()
  },
}
