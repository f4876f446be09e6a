import {cpSync, existsSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

/** Folders of this run, gone at its end. */
const scratch: string[] = []

/** A new empty folder, removed when the run ends. */
export function scratchDir(name = 'test'): string {
  const dir = mkdtempSync(join(tmpdir(), `kloset-oci-${name}-`))
  scratch.push(dir)
  return dir
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

export const mochaHooks = {
  afterAll() {
    for (const dir of scratch) rmSync(dir, {force: true, recursive: true})
  },
}
