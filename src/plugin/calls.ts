/** The gRPC service that plakar calls. */
export const SERVICE = 'store.Store'

/** Its calls, in the order in which a session has them. */
export const CALL_NAMES = [
  'Init',
  'Create',
  'Open',
  'Ping',
  'Mode',
  'Size',
  'List',
  'Put',
  'Get',
  'Delete',
  'Close',
] as const

export type CallName = (typeof CALL_NAMES)[number]
