import fs from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

/** An error as the system makes it. */
export function systemError(code: string, syscall: string, path = ''): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: made by the test, ${syscall} '${path}'`), {code, errno: -1, path, syscall})
}

type Handle = Awaited<ReturnType<typeof fs.open>>

/** The prototype that all file handles share. */
async function handlePrototype(): Promise<Handle> {
  const handle = await fs.open(join(tmpdir()), 'r')
  await handle.close()
  return Object.getPrototypeOf(handle) as Handle
}

type AnyFunction = (...args: unknown[]) => unknown

/**
 * Replaces one function of `node:fs/promises`, or of every file handle (`handle.write`), while `run` runs.
 * The replacement gets the original and the arguments.
 */
export async function withBroken<T>(
  name: string,
  replacement: (original: AnyFunction, args: unknown[]) => unknown,
  run: () => Promise<T>,
): Promise<T> {
  const isOfHandle = name.startsWith('handle.')
  const owner = (isOfHandle ? await handlePrototype() : fs) as unknown as Record<string, AnyFunction>
  const key = isOfHandle ? name.slice('handle.'.length) : name
  const original = owner[key]!
  owner[key] = function (this: unknown, ...args: unknown[]) {
    return replacement(original.bind(this), args)
  }

  try {
    return await run()
  } finally {
    owner[key] = original
  }
}
