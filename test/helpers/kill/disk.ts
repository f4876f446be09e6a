import fs from 'node:fs/promises'
import {tmpdir} from 'node:os'

import {systemError} from '../broken-fs.js'
import {type Life} from './life.js'

type AnyFunction = (...args: unknown[]) => Promise<unknown>

/** What changes a disk. A file's handle is closed whatever happens, as the system does for a dead process. */
const CHANGES = ['appendFile', 'link', 'mkdir', 'rename', 'rm', 'rmdir', 'truncate', 'unlink', 'utimes', 'writeFile']
const HANDLE_CHANGES = ['appendFile', 'datasync', 'sync', 'truncate', 'write', 'writeFile', 'writev']

/**
 * Runs `run` on a disk as a mortal process sees it: every call of `node:fs/promises` that changes something is a step
 * of its life. Work in the same process that must survive (another repository's, the test's own) belongs outside.
 */
export async function onMortalDisk<T>(life: Life, run: () => Promise<T>): Promise<T> {
  const handle = await fs.open(tmpdir(), 'r')
  await handle.close()
  const restore = [
    replace(fs as unknown as Record<string, AnyFunction>, CHANGES, life),
    replace(Object.getPrototypeOf(handle) as Record<string, AnyFunction>, HANDLE_CHANGES, life),
  ]
  try {
    return await run()
  } finally {
    for (const undo of restore) undo()
  }
}

function replace(owner: Record<string, AnyFunction>, names: readonly string[], life: Life): () => void {
  const originals = names.map((name) => [name, owner[name]!] as const)
  for (const [name, original] of originals) {
    owner[name] = async function (this: unknown, ...args: unknown[]) {
      try {
        return await life.step(async () => original.apply(this, args))
      } catch (error) {
        throw life.isOver ? systemError('EIO', name, typeof args[0] === 'string' ? args[0] : '') : error
      }
    }
  }

  return () => {
    for (const [name, original] of originals) owner[name] = original
  }
}
