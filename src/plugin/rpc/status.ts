/**
 * Status codes of gRPC, as far as this server uses them. plakar's host keeps the text of an error and drops the code,
 * but for CANCELLED, which it takes for a cancellation of its own, and UNAVAILABLE, which it blames on the pipe.
 * @see https://grpc.github.io/grpc/core/md_doc_statuscodes.html
 */
export const Status = {
  ALREADY_EXISTS: 6,
  CANCELLED: 1,
  DATA_LOSS: 15,
  DEADLINE_EXCEEDED: 4,
  FAILED_PRECONDITION: 9,
  INTERNAL: 13,
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  OK: 0,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  UNAUTHENTICATED: 16,
  UNIMPLEMENTED: 12,
  UNKNOWN: 2,
} as const

export type StatusCode = (typeof Status)[keyof typeof Status]

/** A failed call: what the client is told. */
export class RpcError extends Error {
  readonly status: StatusCode

  constructor(status: StatusCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : {cause})
    this.name = 'RpcError'
    this.status = status
  }
}

/** Longer messages are cut: percent-encoded, the field has to fit into one header frame. */
const MAX_MESSAGE_BYTES = 4096

/** The text in the form of the `grpc-message` field: percent-encoded UTF-8. */
export function encodeMessage(text: string): string {
  let encoded = ''
  for (const byte of Buffer.from(text).subarray(0, MAX_MESSAGE_BYTES)) {
    encoded +=
      byte >= 0x20 && byte < 0x7f && byte !== 0x25
        ? String.fromCodePoint(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }

  return encoded
}

const UNITS: Readonly<Record<string, number>> = {H: 3_600_000, M: 60_000, m: 1, n: 1e-6, S: 1000, u: 1e-3}

/** A `grpc-timeout` field in milliseconds, rounded up. @returns undefined when it is not one */
export function parseTimeout(field: string): number | undefined {
  const match = /^(?<amount>\d{1,8})(?<unit>[HMSmun])$/.exec(field)
  if (!match?.groups) return undefined
  return Math.ceil(Number(match.groups['amount']) * UNITS[match.groups['unit']!]!)
}
