/** One MAC in the answer to plakar's List: the field's key, a length, 32 bytes. */
export const LISTED_BYTES = 34

/** The longest answer that plakar takes from a plugin: what Go's gRPC takes where nothing else is set. */
const ANSWER_BYTES = 4 * 1024 * 1024

/**
 * Objects of one kind that a store may have for plakar to open it through a plugin: it lists each kind in one answer.
 */
export const MAX_LISTED = Math.floor(ANSWER_BYTES / LISTED_BYTES)
