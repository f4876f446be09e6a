/**
 * Stable error codes. Scripts and tests branch on these, never on the wording.
 * `EXIT_CODES` in `exit-codes.ts` says which exit status each one ends in.
 */
export type ErrorCode =
  | 'ALREADY_EXISTS'
  | 'DAMAGE'
  | 'FORBIDDEN'
  | 'INTEGRITY'
  | 'INTERRUPTED'
  | 'INVALID_ARGUMENT'
  | 'INVALID_REFERENCE'
  | 'IO'
  | 'LOCKED'
  | 'NOT_FOUND'
  | 'PARTIAL'
  | 'PROTOCOL'
  | 'RATE_LIMITED'
  | 'REGISTRY'
  | 'STORE_FORMAT'
  | 'UNAUTHORIZED'
  | 'UNREACHABLE'
  | 'UNSUPPORTED'
  | 'VERSION'

/** A fact that belongs to an error: a digest, a status, an attempt count. Never a credential. */
export type Facts = Readonly<Record<string, boolean | number | string>>

export interface ErrorOptions {
  readonly cause?: unknown
  readonly facts?: Facts
  readonly suggestions?: readonly string[]
}

/** What an error looks like under `--json`. Fixed fields: nothing else of the error object is ever printed. */
export interface ErrorJson {
  readonly causes: readonly string[]
  readonly code: 'UNEXPECTED' | ErrorCode
  readonly facts: Facts
  readonly message: string
  readonly suggestions: readonly string[]
}

/**
 * Base of every expected failure. `code` and `suggestions` are the names oclif prints,
 * so that the core renders well on a terminal without importing it.
 */
export class KlosetOciError extends Error {
  readonly code: ErrorCode
  readonly facts: Facts
  readonly suggestions: string[]

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : {cause: options.cause})
    this.name = new.target.name
    this.code = code
    this.facts = options.facts ?? {}
    this.suggestions = [...(options.suggestions ?? [])]
  }

  toJSON(): ErrorJson {
    return errorToJson(this)
  }
}

/** The reference, option or argument cannot be meant: nothing was contacted and nothing was written. */
export class InvalidArgumentError extends KlosetOciError {
  constructor(message: string, options?: ErrorOptions) {
    super('INVALID_ARGUMENT', message, options)
  }
}

export class InvalidReferenceError extends KlosetOciError {
  constructor(message: string, options?: ErrorOptions) {
    super('INVALID_REFERENCE', message, options)
  }
}

export class NotFoundError extends KlosetOciError {
  constructor(message: string, options?: ErrorOptions) {
    super('NOT_FOUND', message, options)
  }
}

export class AlreadyExistsError extends KlosetOciError {
  constructor(message: string, options?: ErrorOptions) {
    super('ALREADY_EXISTS', message, options)
  }
}

/** Bytes are not what their digest, size or MAC says. `facts` carry `expected` and `actual`. */
export class IntegrityError extends KlosetOciError {
  constructor(message: string, options?: ErrorOptions) {
    super('INTEGRITY', message, options)
  }
}

/** The peer broke the protocol: HTML for JSON, a missing header, a wrong Content-Range, endless paging. */
export class ProtocolError extends KlosetOciError {
  constructor(message: string, options?: ErrorOptions) {
    super('PROTOCOL', message, options)
  }
}

export class UnsupportedError extends KlosetOciError {
  constructor(message: string, options?: ErrorOptions) {
    super('UNSUPPORTED', message, options)
  }
}

/** The bytes are not a Kloset object, or not a sound one. */
export class StoreFormatError extends KlosetOciError {
  constructor(message: string, options?: ErrorOptions) {
    super('STORE_FORMAT', message, options)
  }
}

/** A format or version that this program does not know. Never guessed at. */
export class VersionError extends KlosetOciError {
  constructor(message: string, options?: ErrorOptions) {
    super('VERSION', message, options)
  }
}

export class LockedError extends KlosetOciError {
  constructor(message: string, options?: ErrorOptions) {
    super('LOCKED', message, options)
  }
}

export class InterruptedError extends KlosetOciError {
  constructor(message = 'interrupted', options?: ErrorOptions) {
    super('INTERRUPTED', message, options)
  }
}

/** A local file system or pipe failed: disk full, permission, a closed reader. */
export class LocalIoError extends KlosetOciError {
  constructor(message: string, options?: ErrorOptions) {
    super('IO', message, options)
  }
}

export function isNotFound(error: unknown): boolean {
  return hasCode(error, 'NOT_FOUND')
}

export function hasCode(error: unknown, code: ErrorCode): error is KlosetOciError {
  return error instanceof KlosetOciError && error.code === code
}

/** The messages of an error's causes, outermost first. */
export function causesOf(error: unknown): string[] {
  const causes: string[] = []
  let current = error instanceof Error ? error.cause : undefined
  while (current !== undefined && causes.length < 8) {
    causes.push(messageOf(current))
    current = current instanceof Error ? current.cause : undefined
  }

  return causes
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

export function errorToJson(error: unknown): ErrorJson {
  const known = error instanceof KlosetOciError ? error : undefined
  return {
    causes: causesOf(error),
    code: known?.code ?? 'UNEXPECTED',
    facts: known?.facts ?? {},
    message: messageOf(error),
    suggestions: known?.suggestions ?? [],
  }
}
