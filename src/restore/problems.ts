import {causesOf, type ErrorCode, KlosetOciError, messageOf} from '../errors.js'

/**
 * Why a path was not restored.
 * `damaged`: the store does not have it any more. `exists`: something else is in its place. `failed`: the file system
 * refused. `special`: it is a device, pipe or socket. `attributes`: all of it was, but for its extended attributes, which
 * Node.js has no call to set.
 */
export type ProblemKind = 'attributes' | 'damaged' | 'exists' | 'failed' | 'special'

/** One path, or with `before` all from it on, that was not restored. */
export interface RestoreProblem {
  /** Names of its extended attributes. */
  readonly attributes?: readonly string[] | undefined
  /** A part of the tree could not be read: paths from `path` to before this one may be missing. */
  readonly before?: string | undefined
  /** The blob that is damaged or missing, when it is one. */
  readonly blob?: string | undefined
  readonly code?: ErrorCode | undefined
  readonly kind: ProblemKind
  /** One sentence, in lower case. */
  readonly message: string
  /** In the snapshot. */
  readonly path: string
}

/** Errors of the file system after which there is no use in going on. */
const FATAL = new Set(['EDQUOT', 'EIO', 'EMFILE', 'ENFILE', 'ENOSPC', 'EROFS'])

/**
 * What an error means for one path.
 * @throws the error itself when it ends the work: interruption, a registry that is down, a full disk
 */
export function problemOf(error: unknown, path: string): RestoreProblem {
  if (!(error instanceof KlosetOciError)) throw error
  const {code, facts} = error
  const blob = typeof facts['blob'] === 'string' ? facts['blob'] : undefined
  const problem = {blob, code, message: messageOf(error), path}
  switch (code) {
    case 'ALREADY_EXISTS': {
      return {...problem, kind: 'exists'}
    }

    case 'DAMAGE':
    case 'INTEGRITY':
    case 'NOT_FOUND':
    case 'PROTOCOL':
    case 'STORE_FORMAT':
    case 'VERSION': {
      return {...problem, kind: 'damaged'}
    }

    case 'IO': {
      if (FATAL.has(String(facts['errno']))) throw error
      return {...problem, kind: 'failed', message: [messageOf(error), ...causesOf(error).slice(0, 1)].join(': ')}
    }

    default: {
      throw error
    }
  }
}
