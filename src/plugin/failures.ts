import {type ErrorCode, InvalidArgumentError, KlosetOciError, messageOf} from '../errors.js'
import {RpcError, Status, type StatusCode} from './rpc/status.js'

/**
 * Never CANCELLED and never UNAVAILABLE: the host reads those as its own doing and as a broken pipe, and drops what
 * the message says.
 */
const STATUS: Readonly<Partial<Record<ErrorCode, StatusCode>>> = {
  ALREADY_EXISTS: Status.ALREADY_EXISTS,
  DAMAGE: Status.DATA_LOSS,
  FORBIDDEN: Status.PERMISSION_DENIED,
  INTEGRITY: Status.DATA_LOSS,
  INVALID_ARGUMENT: Status.INVALID_ARGUMENT,
  INVALID_REFERENCE: Status.INVALID_ARGUMENT,
  LOCKED: Status.FAILED_PRECONDITION,
  NOT_FOUND: Status.NOT_FOUND,
  RATE_LIMITED: Status.RESOURCE_EXHAUSTED,
  STORE_FORMAT: Status.DATA_LOSS,
  UNAUTHORIZED: Status.UNAUTHENTICATED,
  UNSUPPORTED: Status.UNIMPLEMENTED,
  VERSION: Status.FAILED_PRECONDITION,
}

/** What the host shows of an error: one line with the cause and the next step. The host keeps nothing else of it. */
export function toRpcError(error: unknown): RpcError {
  if (error instanceof RpcError) return error
  if (!(error instanceof KlosetOciError)) return new RpcError(Status.INTERNAL, oneLine(messageOf(error)), error)
  const [step] = error.suggestions
  const text = step === undefined ? error.message : `${error.message} - ${step.replace(/\.$/, '')}`
  return new RpcError(STATUS[error.code] ?? Status.UNKNOWN, oneLine(text), error)
}

export function invalidRequest(message: string): InvalidArgumentError {
  return new InvalidArgumentError(message)
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*[\n\r]+\s*/g, ' ')
}
