import {LocalIoError, messageOf} from '../errors.js'

/** What the usual causes are called, and what to do about each. */
const CAUSES: Readonly<Record<string, {readonly next: string; readonly what: string}>> = {
  EACCES: {next: 'Check the owner and mode of the path and of the folders above it.', what: 'permission denied'},
  EDQUOT: {next: 'Free space or raise the quota, then run it again.', what: 'quota exhausted'},
  EIO: {next: 'Check the disk: the system log tells more.', what: 'the disk reported an error'},
  EISDIR: {next: 'Move it away, or name another file.', what: 'it is a folder'},
  EMFILE: {next: 'Raise the limit of open files (ulimit -n) or lower the concurrency.', what: 'too many open files'},
  ENFILE: {next: 'Raise the system limit of open files.', what: 'too many open files in the system'},
  ENOSPC: {next: 'Free space on that file system, then run it again.', what: 'no space left'},
  EPERM: {next: 'Check the owner and mode of the path and of the folders above it.', what: 'operation not permitted'},
  EROFS: {next: 'Mount the file system writable, or use another path.', what: 'read-only file system'},
}

export function errnoOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return typeof code === 'string' ? code : undefined
}

/**
 * A failure of the local file system as `LocalIoError`, with the path, the system's code and the next step.
 * Anything that does not come from the system passes through unchanged.
 * @param doing what was tried, as in "write"
 * @param more next steps besides the usual one
 */
export function localIoError(error: unknown, doing: string, path: string, more: readonly string[] = []): Error {
  const errno = errnoOf(error)
  if (errno === undefined || !(error instanceof Error) || !('syscall' in error)) {
    return error instanceof Error ? error : new Error(messageOf(error))
  }

  const cause = CAUSES[errno]
  return new LocalIoError(`cannot ${doing} ${path}: ${cause?.what ?? messageOf(error)}`, {
    cause: error,
    facts: {errno, path},
    suggestions: [...(cause ? [cause.next] : []), ...more],
  })
}

/** Runs a file operation and turns its failure into `LocalIoError`. */
export async function fileOperation<T>(doing: string, path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (error) {
    throw localIoError(error, doing, path)
  }
}
