const MIB = 1024 * 1024

/**
 * What is larger than 32 MiB glibc takes from the system alone and gives back as soon as it is freed. What is smaller it
 * keeps, in each thread, twice as much as the largest piece that was ever freed.
 */
const ROOMY_BYTES = 33 * MIB

/** Smaller pieces come and go without being missed; each piece weighs on the collector by its whole size. */
const MIN_BYTES = 8 * MIB

/**
 * Memory for at least so many bytes, not cleared. Pages behind them that nobody writes to are none, however many it
 * seems to have.
 */
export function allocateRoomy(bytes: number): ArrayBuffer {
  const isMiddling = bytes >= MIN_BYTES && bytes < ROOMY_BYTES
  return Buffer.allocUnsafeSlow(isMiddling ? ROOMY_BYTES : bytes).buffer as ArrayBuffer
}
