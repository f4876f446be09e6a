import {mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {meaningOf} from '../../src/kloset/resource.js'
import {goldenObjects} from './golden.js'
import {type GoldenName, scratchDir} from './hooks.js'

const FOLDERS = {lock: 'locks', packfile: 'packfiles', state: 'states'} as const

/** A golden store as plakar lays it into a folder. @returns its location */
export function layOutFs(name: GoldenName): string {
  return layOut(goldenObjects(name))
}

/** Objects as plakar lays them into a folder. @returns its location */
export function layOut(objects: Iterable<{readonly bytes: Buffer; readonly tag: string}>): string {
  const root = join(scratchDir('fs'), 'store')
  for (const folder of Object.values(FOLDERS)) mkdirSync(join(root, folder), {recursive: true})
  for (const {bytes, tag} of objects) {
    const meaning = meaningOf(tag)
    if (meaning.kind !== 'object') {
      writeFileSync(join(root, tag), bytes)
      continue
    }

    const folder = join(root, FOLDERS[meaning.resource], meaning.mac.slice(0, 2))
    mkdirSync(folder, {recursive: true})
    writeFileSync(join(folder, meaning.mac), bytes)
  }

  return `fs://${root}`
}

/** A golden store's objects as loose files, named by their tags or for nothing. */
export function layOutFiles(name: GoldenName, {named}: {readonly named: boolean}): string {
  const root = scratchDir('files')
  for (const [index, {bytes, tag}] of goldenObjects(name).entries()) {
    writeFileSync(join(root, named ? `${tag}.rescued` : `file-${index}`), bytes)
  }

  return root
}
