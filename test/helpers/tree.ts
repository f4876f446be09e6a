import {mkdirSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'

import {seeded} from './random.js'

/** A folder with what backups trip over: empty, large, incompressible, deep, not ASCII, a link, a private file. */
export function writeTree(root: string): void {
  const deep = join(root, 'deep', 'a', 'b', 'c')
  mkdirSync(deep, {recursive: true})
  mkdirSync(join(root, 'empty-folder'))
  for (let index = 0; index < 40; index++)
    writeFileSync(join(root, `text${index}.txt`), `line ${index}\n`.repeat(index))
  writeFileSync(join(deep, 'leaf'), 'the end\n')
  writeFileSync(join(root, 'empty'), '')
  writeFileSync(join(root, 'random.bin'), seeded(79_676_697).bytes(3 * 1024 * 1024))
  writeFileSync(join(root, 'zeros.bin'), Buffer.alloc(2 * 1024 * 1024))
  writeFileSync(join(root, 'unicode-é-名前.txt'), 'name\n')
  writeFileSync(join(root, 'private'), 'mine\n', {mode: 0o600})
  symlinkSync('text1.txt', join(root, 'link'))
}
