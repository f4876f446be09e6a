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
  const owner = await handles()
  const restore = [
    replace(fs as unknown as Record<string, AnyFunction>, CHANGES, life),
    replace(owner, HANDLE_CHANGES, life),
  ]
  try {
    return await run()
  } finally {
    for (const undo of restore) undo()
  }
}

/**
 * Runs `run` without a wait for the real disk. What is synced when is looked at by the steps of a mortal disk, not by how
 * long they take.
 */
export async function withoutWaiting<T>(run: () => Promise<T>): Promise<T> {
  const owner = await handles()
  const {datasync, sync} = owner
  Object.assign(owner, {datasync: noWait, sync: noWait})
  try {
    return await run()
  } finally {
    Object.assign(owner, {datasync, sync})
  }
}

async function noWait(): Promise<void> {}

/** What every file's handle has its methods from. */
async function handles(): Promise<Record<string, AnyFunction>> {
  const handle = await fs.open(tmpdir(), 'r')
  await handle.close()
  return Object.getPrototypeOf(handle) as Record<string, AnyFunction>
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
