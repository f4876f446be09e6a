import {readFileSync} from 'node:fs'
import {join} from 'node:path'

import {FIXTURES, type GoldenName} from './hooks.js'

/** What `plakar info` said of a golden store, by path: `Encryption.KDF.Salt`. */
export function expectedInfo(name: GoldenName): Record<string, string> {
  const all = JSON.parse(readFileSync(join(FIXTURES, 'expected.json'), 'utf8')) as Record<string, {info: string[]}>
  const info: Record<string, string> = {}
  const path: string[] = []
  for (const line of all[name]!.info) {
    const [, indent = '', key = '', value = ''] = /^( *)(?:- )?([^:]+): ?(.*)$/.exec(line) ?? []
    const depth = indent.length === 0 ? 0 : Math.ceil(indent.length / 2)
    path.length = depth
    path[depth] = key
    info[path.join('.')] = value
  }

  return info
}
